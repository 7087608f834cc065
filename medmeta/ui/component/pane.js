// One scan on the screen: its picture, where it lies, and what is written around it.

/** Bytes of frames that are kept in the browser. */
const KEPT = 384 * 2 ** 20;

/** Frames that came from the server, by pane and number; the longest unused go first. */
class Frames {
  constructor() { this.held = new Map(); this.bytes = 0; }
  put(pane, frame) {
    const key = `${pane}/${frame.index}`;
    if (this.held.has(key)) return;
    this.held.set(key, frame);
    this.bytes += frame.values.byteLength;
    for (const [old, gone] of this.held) {
      if (this.bytes <= KEPT || old === key) break;
      this.held.delete(old);
      this.bytes -= gone.values.byteLength;
    }
  }
  get(pane, index) {
    const key = `${pane}/${index}`, frame = this.held.get(key);
    if (frame) { this.held.delete(key); this.held.set(key, frame); }
    return frame;
  }
  has(pane, index) { return this.held.has(`${pane}/${index}`); }
}

const element = (name, kind, parent) => {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  parent?.append(made);
  return made;
};
const round = (value) => (Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3));

class Pane {
  constructor(parent, frames) {
    this.frames = frames;
    this.column = element("div", "column", parent);
    this.box = element("div", "pane", this.column);
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
    this.canvas = element("canvas", "picture", this.box);
    this.canvas.setAttribute("role", "img");
    this.notes = Object.fromEntries(["tl", "tr", "bl", "br"].map((at) => [at, element("div", `note ${at}`, this.box)]));
    this.letters = ["left", "right", "top", "bottom"].map((at) => element("div", `letter ${at}`, this.box));
    this.scale = element("div", "scale", this.box);
    this.scaleText = element("span", "", this.scale);
    const row = element("div", "stack", this.column), track = element("div", "track", row);
    this.row = row;
    this.slider = element("input", "", track);
    Object.assign(this.slider, { type: "range", min: 1, step: 1 });
    this.ticks = element("div", "ticks", track);
    this.mark = element("button", "tool mark", row);
    this.source = document.createElement("canvas");
    this.drawn = this.shown = this.pointer = null;
    this.fingers = new Map();
    this.rolled = 0;
  }

  /** Take over what the server says of the scan; another scan starts from its own place and window. */
  show(info) {
    const other = this.info?.id !== info.id;
    this.info = info;
    // The picture of the scan before is never left under the name of this one.
    if (other) { this.index = info.start; this.shown = null; this.reset(); }
    this.index = Math.min(this.index, info.length - 1);
    this.box.setAttribute("aria-label", `${info.title.replace("\n", ", ")}. ${info.text}`);
    this.row.hidden = info.length < 2;
    this.slider.max = info.length;
    this.slider.setAttribute("aria-label", info.noun);
    this.mark.hidden = !info.markable;
    this.ticks.replaceChildren(...info.used.flatMap((used, at) => {
      if (!used) return [];
      const tick = document.createElement("i");
      tick.style.left = `${(100 * at) / Math.max(1, info.length - 1)}%`;
      return [tick];
    }));
    info.letters?.forEach((letter, at) => { this.letters[at].textContent = letter; });
    if (!info.letters) for (const letter of this.letters) letter.textContent = "";
  }

  reset() { Object.assign(this, { window: null, invert: false, zoom: 1, x: 0, y: 0 }); }
  get frame() { return this.frames.get(this.info.id, this.index); }
  /** Level and width now; null while no frame is there. */
  get level() { return this.window ?? this.shown?.window ?? null; }

  go(index) {
    this.index = Math.min(this.info.length - 1, Math.max(0, index));
  }

  /** Screen pixels of one pixel of the scan, down and across, at zoom 1. */
  get fit() {
    const { rows, columns, aspect } = this.info;
    return Math.min(this.canvas.width / columns, this.canvas.height / (rows * aspect));
  }

  /** Where the picture lies on the canvas. */
  get place() {
    const { rows, columns, aspect } = this.info, scale = this.fit * this.zoom;
    const width = columns * scale, height = rows * aspect * scale, dots = window.devicePixelRatio || 1;
    return {
      scale, width, height,
      left: Math.round((this.canvas.width - width) / 2 + this.x * dots),
      top: Math.round((this.canvas.height - height) / 2 + this.y * dots),
    };
  }

  zoomTo(zoom, at) {
    const next = Math.min(40, Math.max(0.05, zoom)), grow = next / this.zoom;
    const box = this.box.getBoundingClientRect();
    const dx = at ? at.clientX - box.left - box.width / 2 : 0, dy = at ? at.clientY - box.top - box.height / 2 : 0;
    this.x = dx - (dx - this.x) * grow;
    this.y = dy - (dy - this.y) * grow;
    this.zoom = next;
  }

  draw(height) {
    this.box.style.height = `${height}px`;
    const dots = window.devicePixelRatio || 1;
    const size = [Math.max(1, Math.round(this.box.clientWidth * dots)), Math.round(height * dots)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    const frame = this.frame;
    this.box.classList.toggle("waiting", !frame);
    if (frame) this.shown = frame;
    if (this.shown) this.#picture(this.shown);
    else this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.#words();
    if (this.pointer) this.point(this.pointer); // what lies under it may be another slice by now
  }

  #picture(frame) {
    const look = JSON.stringify([this.info.id, frame.index, this.window, this.invert]);
    if (this.drawn !== look) {
      if (this.source.width !== frame.columns || this.source.height !== frame.rows) {
        [this.source.width, this.source.height] = [frame.columns, frame.rows];
      }
      const context = this.source.getContext("2d"), image = context.createImageData(frame.columns, frame.rows);
      paint(frame, this.window, this.invert, image);
      context.putImageData(image, 0, 0);
      this.drawn = look;
    }
    const pen = this.canvas.getContext("2d"), { left, top, width, height, scale } = this.place;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    // Pixels stay pixels where they are enlarged much, and nothing is blended at their own size.
    pen.imageSmoothingEnabled = scale / this.info.stride < 4 && Math.abs(scale - 1) > 1e-9;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.source, left, top, width, height);
  }

  #words() {
    const { info, index } = this, { scale } = this.place, dots = window.devicePixelRatio || 1;
    const mm = info.places[index];
    this.notes.tr.textContent = [
      info.length > 1 ? `${info.noun} ${index + 1} of ${info.length}` : "",
      mm == null ? "" : `at ${mm.toFixed(1)} mm`,
      info.length > 1 && info.used[index] ? info.usedWord : "",
    ].filter(Boolean).join("\n");
    this.notes.tl.textContent = info.title;
    const level = this.shown?.colour ? null : this.level;
    this.notes.br.textContent = [
      level && `L ${round(level[0])}  W ${round(level[1])}`,
      `${Math.round(100 * (scale / dots))} %${info.stride > 1 ? `, every ${info.stride}. pixel` : ""}`,
    ].filter(Boolean).join("\n");
    this.slider.value = index + 1;
    this.slider.setAttribute("aria-valuetext", this.notes.tr.textContent.replaceAll("\n", ", "));
    this.mark.setAttribute("aria-pressed", String(Boolean(info.marks[index])));
    this.mark.textContent = info.marks[index] ? `Marked: carries the label (M)` : `Mark this ${info.noun.toLowerCase()} (M)`;
    this.canvas.setAttribute("aria-label", `${info.text} ${this.notes.tr.textContent.replaceAll("\n", ", ")}`);
    this.#bar(scale / dots);
  }

  /** A bar of a round number of millimetres, about a fifth of the width. */
  #bar(scale) {
    const spacing = this.info.spacing;
    this.scale.hidden = !spacing;
    if (!spacing) return;
    const wanted = (this.box.clientWidth / 5 / scale) * spacing[1], power = 10 ** Math.floor(Math.log10(wanted));
    // Just below a power of ten the logarithm rounds up, and none of the parts would fit.
    const length = power * ([5, 2, 1].find((part) => part * power <= wanted) ?? 1);
    this.scale.style.width = `${(length / spacing[1]) * scale}px`;
    const words = length < 0.1 ? `${round(1000 * length)} µm` : `${Number(length.toPrecision(1))} mm`;
    this.scaleText.textContent = `${words}${this.info.spacingWord}`;
  }

  /** Value and place under the pointer; null when it has left. */
  point(event) {
    this.pointer = event;
    if (!event) { this.notes.bl.textContent = ""; return; }
    const { info, shown } = this, box = this.canvas.getBoundingClientRect(), dots = window.devicePixelRatio || 1;
    const { left, top, scale } = this.place;
    const column = Math.floor(((event.clientX - box.left) * dots - left) / scale);
    const row = Math.floor(((event.clientY - box.top) * dots - top) / (scale * info.aspect));
    if (!shown || row < 0 || column < 0 || row >= info.rows || column >= info.columns) {
      this.notes.bl.textContent = "";
      return;
    }
    const at = Math.floor(row / info.stride) * shown.columns + Math.floor(column / info.stride);
    const value = shown.colour
      ? `R ${shown.values[3 * at]} G ${shown.values[3 * at + 1]} B ${shown.values[3 * at + 2]}`
      : `${shown.dtype === "<f4" ? shown.values[at].toPrecision(5) : shown.values[at]}${info.unit ? ` ${info.unit}` : ""}`;
    const where = info.spacing
      ? `${(column * info.spacing[1]).toFixed(1)} mm, ${(row * info.spacing[0]).toFixed(1)} mm` : "";
    this.notes.bl.textContent = [value, where, `column ${column}, row ${row}`].filter(Boolean).join("\n");
  }
}
