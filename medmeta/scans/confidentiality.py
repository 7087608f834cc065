"""What is done to each attribute, beside what PS3.15 Annex E asks for: the ground of the de-identification report.

Action codes of table E.1-1 (Basic Application Level Confidentiality Profile): D dummy value, Z empty or dummy, X
remove, K keep, C clean, U replace by a consistent UID; X/Z and the like depend on the attribute's type in the object.
Everything that is not kept or replaced below is dropped, whether the table lists it or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.datadict import dictionary_description, keyword_dict

from medmeta.scans.deidentify import PERMITTED_TAGS


@dataclass(frozen=True)
class Attribute:
    """An attribute of the table.

    Attributes:
        keyword: of PS3.6.
        code: the action code of table E.1-1.
        done: what is done here.
    """

    keyword: str
    code: str
    done: str

    @property
    def tag(self) -> str:
        """``(gggg,eeee)``."""
        number = keyword_dict[self.keyword]
        return f"({number >> 16:04X},{number & 0xFFFF:04X})"

    @property
    def name(self) -> str:
        return str(dictionary_description(keyword_dict[self.keyword]))


@dataclass(frozen=True)
class Clause:
    """A clause of the profile and how it is met."""

    clause: str
    title: str
    status: str
    how: str


_PSEUDONYM = "replaced: ten hexadecimal digits of a keyed hash (HMAC-SHA256)"
_INTO_PSEUDONYM = "goes into the patient's pseudonym, else dropped"

#: Attributes that are read to be replaced; their values are never kept.
REPLACED = (
    Attribute("PatientID", "Z", f"{_PSEUDONYM}, the same for one patient in all tasks of this workspace"),
    Attribute("IssuerOfPatientID", "X", _INTO_PSEUDONYM),
    Attribute(
        "StudyInstanceUID",
        "U",
        f"{_PSEUDONYM} where the file names no patient, else compared at upload and dropped",
    ),
    Attribute("SeriesInstanceUID", "U", f"{_PSEUDONYM}, which tells slices of one volume"),
)

#: The attributes of table E.1-1 that most files carry; all of them are dropped.
DROPPED = tuple(
    Attribute(keyword, code, "dropped")
    for keyword, code in (
        ("PatientName", "Z"),
        ("PatientBirthDate", "Z"),
        ("PatientBirthTime", "X"),
        ("PatientSex", "Z"),
        ("PatientAge", "X"),
        ("PatientSize", "X"),
        ("PatientWeight", "X"),
        ("PatientAddress", "X"),
        ("PatientTelephoneNumbers", "X"),
        ("PatientComments", "X"),
        ("OtherPatientIDs", "X"),
        ("OtherPatientIDsSequence", "X"),
        ("OtherPatientNames", "X"),
        ("PatientBirthName", "X"),
        ("PatientMotherBirthName", "X"),
        ("EthnicGroup", "X"),
        ("Occupation", "X"),
        ("AdditionalPatientHistory", "X"),
        ("MedicalRecordLocator", "X"),
        ("AccessionNumber", "Z"),
        ("StudyID", "Z"),
        ("StudyDate", "Z"),
        ("StudyTime", "Z"),
        ("SeriesDate", "X/D"),
        ("SeriesTime", "X/D"),
        ("AcquisitionDate", "X/Z"),
        ("AcquisitionTime", "X/Z"),
        ("AcquisitionDateTime", "X/Z/D"),
        ("ContentDate", "Z/D"),
        ("ContentTime", "Z/D"),
        ("TimezoneOffsetFromUTC", "X"),
        ("SOPInstanceUID", "U"),
        ("FrameOfReferenceUID", "U"),
        ("MediaStorageSOPInstanceUID", "U"),
        ("ReferencedSOPInstanceUID", "U"),
        ("DeviceUID", "U"),
        ("InstitutionName", "X/Z/D"),
        ("InstitutionAddress", "X"),
        ("InstitutionalDepartmentName", "X"),
        ("StationName", "X/Z/D"),
        ("DeviceSerialNumber", "X/Z/D"),
        ("ReferringPhysicianName", "Z"),
        ("PhysiciansOfRecord", "X"),
        ("PerformingPhysicianName", "X"),
        ("NameOfPhysiciansReadingStudy", "X"),
        ("OperatorsName", "X/Z/D"),
        ("RequestingPhysician", "X"),
        ("StudyDescription", "X"),
        ("SeriesDescription", "X"),
        ("ProtocolName", "X/D"),
        ("DerivationDescription", "X"),
        ("ImageComments", "X"),
        ("RequestedProcedureDescription", "X/Z"),
        ("RequestAttributesSequence", "X"),
        ("ReferencedPatientSequence", "X"),
        ("ReferencedStudySequence", "X/Z"),
        ("ReferencedImageSequence", "X/Z/U*"),
        ("SourceImageSequence", "X/Z/U*"),
        ("OriginalAttributesSequence", "X"),
        ("ContentSequence", "D"),
        ("GraphicAnnotationSequence", "D"),
        ("IconImageSequence", "X"),
        ("DigitalSignaturesSequence", "X"),
    )
)

#: Kinds of attribute that no keyword names.
DROPPED_KINDS = (
    ("Private attributes", "(gggg,eeee), gggg odd", "X"),
    ("Overlay Data, Overlay Comments", "(60xx,3000), (60xx,4000)", "X"),
    ("Curve Data", "(50xx,xxxx)", "X"),
    ("Data Set Trailing Padding", "(FFFC,FFFC)", "X"),
    ("The 128-byte preamble and file meta group", "PS3.10 7.1", "–"),
)

#: What may stay, and the shape its value is cut to. Table E.1-1 lists none of these.
KEPT = tuple(
    Attribute(keyword, "not listed", "kept: " + shape)
    for keyword, shape in {
        **dict.fromkeys(PERMITTED_TAGS, "a number"),
        "SOPClassUID": "a UID of the standard's own list",
        "PixelSpacing": "two numbers",
        "ImagerPixelSpacing": "two numbers",
        "ImagePositionPatient": "three numbers",
        "ImageOrientationPatient": "six numbers",
        **dict.fromkeys(
            (
                "Modality",
                "BodyPartExamined",
                "ViewPosition",
                "Laterality",
                "ImageLaterality",
                "PhotometricInterpretation",
                "ImageType",
            ),
            "one of the standard's defined terms, else dropped",
        ),
    }.items()
)

#: The profile and its options (PS3.15 E.2, E.3).
CLAUSES = (
    Clause(
        "E.1.1",
        "De-identifier",
        "met in another form",
        "No DICOM object is written: a new object of pixels and the attributes below is. So there is no "
        "De-identification Method Code Sequence (0012,0064) to fill in; this report stands for it.",
    ),
    Clause(
        "E.2",
        "Basic Application Level Confidentiality Profile",
        "met by allow-list",
        "Every attribute of table E.1-1 is dropped or replaced, in nested sequences too, for nothing but what is named "
        "here is read into memory as a value.",
    ),
    Clause(
        "E.3.1",
        "Clean Pixel Data Option",
        "by a person's decision",
        "A text recogniser and the file's tags (Burned In Annotation, Modality, SOP Class) flag scans; a person keeps, "
        "blanks or removes each. Text the recogniser misses stays in the picture.",
    ),
    Clause(
        "E.3.2",
        "Clean Recognizable Visual Features Option",
        "not applied",
        "Faces in photographs, and those that can be rendered from CT or MR of the head, are not removed.",
    ),
    Clause("E.3.3", "Clean Graphics Option", "not needed", "Overlays, curves and annotations are dropped."),
    Clause(
        "E.3.4", "Clean Structured Content Option", "not needed", "Structured content is refused or dropped."
    ),
    Clause("E.3.5", "Clean Descriptors Option", "not needed", "Descriptions and comments are dropped."),
    Clause(
        "E.3.6",
        "Retain Longitudinal Temporal Information Options",
        "not applied",
        "No date or time is kept.",
    ),
    Clause(
        "E.3.7",
        "Retain Patient Characteristics Option",
        "not applied",
        "Sex, age, size and weight are dropped.",
    ),
    Clause(
        "E.3.8",
        "Retain Device Identity Option",
        "not applied",
        "Station, serial number and device UID are dropped, and the maker and model too.",
    ),
    Clause("E.3.9", "Retain UIDs Option", "not applied", "No UID of an instance, series or study is kept."),
    Clause(
        "E.3.10",
        "Retain Safe Private Option",
        "not applied",
        "Private attributes are dropped, safe ones too.",
    ),
    Clause(
        "E.3.11", "Retain Institution Identity Option", "not applied", "Institution and address are dropped."
    ),
)

#: What a reader of the report must not take from it.
NOT_PROMISED = (
    "The names of files and folders, labels, patients named by hand and whatever a labels.csv holds are kept as they "
    "were given. Whoever uploads must keep identities out of them.",
    "Pixels can identify by themselves: a rare anatomy, a face, an implant's number, or text that the recogniser "
    "missed (faint text, text of fewer than three letters, handwriting, frames other than first, central and last).",
    "Pseudonyms are pseudonymous, not anonymous, data (GDPR Art. 4(5)): whoever has the key and a list of Patient IDs "
    "can link them. The key stays in the workspace folder, readable by its owner only, and is in no export.",
    "Pixels blanked or scans removed can be brought back by undo until removed scans are deleted in the task's "
    "settings.",
    "The original files that were uploaded are not touched and not kept by this program.",
)
