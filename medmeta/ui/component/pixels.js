// From the bytes of the server to the greys on the screen: the formulas of medmeta/scans/display.py, value by value.

const KINDS = {
  "|u1": Uint8Array, "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array, "<i4": Int32Array, "<f4": Float32Array,
};

/** A message: four bytes of length, that much JSON, then the values, each array on a multiple of four bytes. */
function unpack(bytes) {
  const whole = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const size = new DataView(whole.buffer, whole.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + size)));
  const body = whole.subarray(4 + size);
  for (const frame of header.frames) {
    const Kind = KINDS[frame.dtype];
    const count = frame.rows * frame.columns * (frame.colour ? 3 : 1);
    // A copy of its own: a view would keep the whole message in memory.
    frame.values = new Kind(body.slice(frame.offset, frame.offset + count * Kind.BYTES_PER_ELEMENT).buffer);
    if (frame.table) {
      frame.shades = body.slice(frame.table.offset, frame.table.offset + frame.table.length);
    }
  }
  return header;
}

/** To the nearest whole number, halves to the even one, as numpy.rint. */
function nearest(value) {
  const low = Math.floor(value), rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/** The grey, 0 to 255, of one value through a window (PS3.3 C.11.2.1.2 and C.11.2.1.3). */
function shade(value, centre, width, curve, exact) {
  if (curve === "SIGMOID") {
    const steep = Math.min(60, Math.max(-60, (4 * (value - centre)) / width));
    return nearest(255 / (1 + Math.exp(-steep)));
  }
  const middle = exact ? centre : centre - 0.5, span = exact ? width : width - 1;
  const level = value - middle;
  if (span === 0) return level > 0 ? 255 : 0;
  return nearest(Math.min(1, Math.max(0, level / span + 0.5)) * 255);
}

/** A function from values to greys. ``window`` null: as the file asks to be shown. */
function shader(frame, window) {
  if (frame.shades && window === null) {
    const last = frame.shades.length - 1, first = frame.table.first;
    return (value) => frame.shades[Math.min(last, Math.max(0, nearest(value) - first))];
  }
  const [centre, width] = window ?? frame.window;
  const exact = frame.curve === "LINEAR_EXACT" || frame.dtype === "<f4" || width < 1;
  return (value) => shade(value, centre, width, frame.curve, exact);
}

/** One frame as RGBA. */
function paint(frame, window, invert, image) {
  const out = new Uint32Array(image.data.buffer), { values } = frame;
  const flip = (frame.colour ? invert : invert !== frame.monochrome1) ? 255 : 0;
  if (frame.colour) {
    for (let i = 0, j = 0; i < out.length; i += 1, j += 3) {
      out[i] = 0xff000000 | ((values[j + 2] ^ flip) << 16) | ((values[j + 1] ^ flip) << 8) | (values[j] ^ flip);
    }
    return;
  }
  const grey = shader(frame, window);
  const span = { "|u1": [0, 256], "<u2": [0, 65536], "<i2": [-32768, 65536] }[frame.dtype];
  if (span && values.length > 4096) {
    const [low, count] = span, table = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) table[i] = 0xff000000 | ((grey(low + i) ^ flip) * 0x10101);
    for (let i = 0; i < out.length; i += 1) out[i] = table[values[i] - low];
    return;
  }
  for (let i = 0; i < out.length; i += 1) out[i] = 0xff000000 | ((grey(values[i]) ^ flip) * 0x10101);
}
