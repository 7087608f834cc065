// The viewer: what mouse and keys do, presets, two scans side by side. Only pictures change here; the model reads files.

const DIGITS = /^[0-9]$/;
/** Pixels of wheel that are one slice. */
const NOTCH = 50;
/** Where arrows choose, so that they scroll no slices. */
const CHOOSING = "[role=radiogroup], [role=tablist], [role=menu], [role=radio], [role=tab]";
/** The point between fingers, and how far apart the first two are. */
const middle = ([one, two]) => ({
  clientX: (one.clientX + two.clientX) / 2, clientY: (one.clientY + two.clientY) / 2,
  apart: Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY),
});
/** Where keys belong to whoever has the focus. */
const TYPING = "input, textarea, select, [contenteditable=true], [role=grid], [role=slider], [role=combobox], [role=listbox], [role=dialog] *";

class Viewer {
  constructor(root) {
    this.find = (name) => root.querySelector(name);
    this.frames = new Frames();
    this.panes = [];
    this.active = 0;
    this.linked = true;
    this.#tools();
    this.keys = (event) => this.#key(event);
    document.addEventListener("keydown", this.keys, true);
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.find(".viewer"));
    this.gone = new AbortController();
    this.#watchDots();
  }

  close() {
    document.removeEventListener("keydown", this.keys, true);
    this.size.disconnect();
    this.gone.abort();
    cancelAnimationFrame(this.drawing);
    clearTimeout(this.saying);
  }

  /** A window that is dragged to a finer screen keeps its size: only the number of dots changes. */
  #watchDots() {
    const here = matchMedia(`(resolution: ${window.devicePixelRatio || 1}dppx)`);
    here.addEventListener("change", () => { this.draw(); this.#watchDots(); }, { once: true, signal: this.gone.signal });
  }

  /** Take a message of the server: what is shown, and some of its frames. */
  take(bytes, setState, setTrigger) {
    Object.assign(this, { setState, setTrigger });
    const header = unpack(bytes);
    this.height = header.height;
    this.presets = header.presets;
    const ids = new Set(header.panes.map((pane) => pane.id));
    for (const frame of header.frames) this.frames.put(frame.pane, frame);
    while (this.panes.length < header.panes.length) this.#addPane();
    while (this.panes.length > header.panes.length) this.panes.pop().column.remove();
    const before = this.panes.map((pane) => pane.info?.id).join();
    header.panes.forEach((info, at) => this.panes[at].show(info));
    if (before !== [...ids].join()) {
      this.asked = null;
      this.#tie();
    }
    this.active = Math.min(this.active, this.panes.length - 1);
    this.find(".link").hidden = !(this.panes.length > 1 && this.panes.every((pane) => pane.info.length > 1));
    this.waiting = false;
    this.#presetButtons();
    this.#labelButtons(header.labelling);
    this.draw();
    this.#ask();
  }

  get pane() { return this.panes[this.active]; }

  draw() {
    if (!this.panes.length || this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      for (const pane of this.panes) pane.draw(this.height);
      this.panes.forEach((pane, at) => pane.box.classList.toggle("active", this.panes.length > 1 && at === this.active));
      this.#state();
    });
  }

  /** Frames that are not here yet: the one on the screen first, then the next ones. One question at a time. */
  #ask() {
    if (this.waiting) return;
    for (const ahead of [0, 1]) {
      const want = {};
      for (const pane of this.panes) {
        const { id, chunk, length } = pane.info;
        const index = Math.min(length - 1, Math.max(0, pane.index + ahead * chunk * (pane.heading ?? 1)));
        want[id] = index - (index % chunk);
        if (!this.frames.has(id, index)) want.missing = true;
      }
      const key = JSON.stringify(want);
      if (want.missing && key !== this.asked) {
        this.asked = key;
        this.waiting = true;
        delete want.missing;
        this.turn = (this.turn ?? 0) + 1;
        this.setState("want", { ...want, turn: this.turn }); // the turn makes every answer a new one
        return;
      }
    }
  }

  // Moving through a stack

  scroll(pane, index) {
    const before = pane.index;
    pane.go(index);
    if (pane.index !== before) pane.heading = Math.sign(pane.index - before);
    if (this.linked) {
      for (const other of this.panes) if (other !== pane && pane.info.length > 1) this.#follow(pane, other);
    }
    this.draw();
    this.asked = null;
    this.#ask();
    this.#say();
  }

  /** Remember how the scans lie to each other: from here on they move together. */
  #tie() {
    this.tied = this.panes.map((pane) => pane.index);
  }

  /** The slice of ``other`` as far from its tied one, in mm where both know their places, else in slices. */
  #follow(pane, other) {
    const from = this.tied[this.panes.indexOf(pane)], to = this.tied[this.panes.indexOf(other)];
    const here = pane.info.places, there = other.info.places;
    if ([here[from], here[pane.index], there[to]].every((mm) => mm != null)) {
      const goal = there[to] + here[pane.index] - here[from];
      let best = to;
      there.forEach((mm, at) => { if (mm != null && Math.abs(mm - goal) < Math.abs(there[best] - goal)) best = at; });
      other.go(best);
    } else {
      other.go(to + pane.index - from);
    }
  }

  // Window, zoom, invert

  setWindow(window, pane = this.pane) {
    if (pane.shown?.colour) return;
    const least = pane.shown?.dtype === "<f4" ? 1e-6 : 1;
    pane.window = window && [window[0], Math.max(least, window[1])];
    this.draw();
  }

  preset(number) {
    const preset = this.presets[number];
    if (!preset || this.pane.shown?.colour) return;
    if (preset.unit && preset.unit !== this.pane.info.unit) {
      this.#say(`${preset.name} is a window in ${preset.unit}; this scan has no such values.`);
      return;
    }
    this.setWindow(preset.window);
    this.#say();
  }

  #tools() {
    const act = (name, what) => this.find(name).addEventListener("click", () => { what(); this.draw(); this.#say(); });
    act(".invert", () => { this.pane.invert = !this.pane.invert; });
    act(".reset", () => this.pane.reset());
    act(".in", () => this.pane.zoomTo(this.pane.zoom * 1.25));
    act(".out", () => this.pane.zoomTo(this.pane.zoom / 1.25));
    act(".real", () => { this.pane.x = 0; this.pane.y = 0; this.pane.zoom = 1 / this.pane.fit; });
    act(".link", () => { this.linked = !this.linked; this.#tie(); });
    for (const [name, at] of [[".centre", 0], [".width", 1]]) {
      this.find(name).addEventListener("change", (event) => {
        const value = Number(event.target.value), now = this.pane.level;
        if (!now || !Number.isFinite(value) || (at === 1 && value <= 0)) { this.draw(); return; }
        this.setWindow(at ? [now[0], value] : [value, now[1]]);
      });
    }
  }

  #presetButtons() {
    const key = JSON.stringify(this.presets);
    if (this.presetKey === key) return;
    this.presetKey = key;
    this.find(".presets").replaceChildren(...this.presets.map((preset, number) => {
      const button = element("button", "tool");
      button.textContent = preset.name;
      element("kbd", "", button).textContent = number;
      button.title = preset.window ? `Level ${preset.window[0]}, width ${preset.window[1]} ${preset.unit}` : "The window the file asks for";
      button.addEventListener("click", () => this.preset(number));
      return button;
    }));
  }

  /** Classes with their keys, and the way through the scans; what they say concerns the first scan shown. */
  #labelButtons(labelling) {
    const box = this.find(".labels");
    // The buttons are made anew, and whoever works with Tab and Enter is to find the same one again.
    const held = box.contains(box.getRootNode().activeElement) ? box.getRootNode().activeElement.dataset.name : null;
    box.hidden = !labelling;
    this.labelKeys = {};
    if (!labelling) return;
    const shown = this.panes[0].info.id;
    const button = (kind, words, key, what) => {
      const made = element("button", `tool ${kind}`);
      made.textContent = words;
      made.dataset.name = `${kind} ${words}`;
      if (key) {
        element("kbd", "", made).textContent = key.toUpperCase();
        made.setAttribute("aria-keyshortcuts", key);
        this.labelKeys[key] = () => this.setTrigger("act", { ...what, pane: shown });
      }
      made.addEventListener("click", () => this.setTrigger("act", { ...what, pane: shown }));
      return made;
    };
    const classes = labelling.classes.map(({ name, key, count, chosen }) => {
      const made = button("class", name, key, { do: "label", label: name });
      made.setAttribute("aria-pressed", String(chosen));
      element("span", "many", made).textContent = count;
      return made;
    });
    const undo = button("undo", "Undo", "u", { do: "undo" });
    undo.disabled = !labelling.undo;
    undo.title = labelling.undo ? `Undo (U or Ctrl+Z): ${labelling.undo}` : "Nothing to undo";
    box.replaceChildren(
      ...classes, element("span", "gap"), button("back", "Back", "b", { do: "back" }),
      button("next", "Skip", "n", { do: "next" }), undo,
    );
    if (held) [...box.children].find((made) => made.dataset.name === held)?.focus();
  }

  /** Buttons and numbers follow the active scan. */
  #state() {
    const { pane } = this, colour = Boolean(pane.shown?.colour), level = pane.level;
    this.find(".invert").setAttribute("aria-pressed", String(pane.invert));
    this.find(".link").setAttribute("aria-pressed", String(this.linked));
    [...this.find(".presets").children].forEach((button, number) => {
      const preset = this.presets[number];
      const usable = !colour && (!preset.unit || preset.unit === pane.info.unit);
      button.hidden = !usable;
      button.setAttribute("aria-pressed", String(JSON.stringify(preset.window) === JSON.stringify(pane.window)));
    });
    for (const [name, at] of [[".centre", 0], [".width", 1]]) {
      const input = this.find(name);
      input.parentElement.hidden = colour;
      if (level && input.getRootNode().activeElement !== input) input.value = Number(level[at].toFixed(3));
    }
  }

  #say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { // by then the picture and its notes are drawn
      const { pane } = this, level = pane.level;
      const words = [pane.notes.tr.textContent.replaceAll("\n", ", "), pane.invert ? "inverted" : ""];
      if (level && !pane.shown?.colour) words.push(`level ${round(level[0])}, width ${round(level[1])}`);
      this.find(".said").textContent = text ?? words.filter(Boolean).join(", ");
    }, 150);
  }

  // Mouse and keys

  #addPane() {
    const pane = new Pane(this.find(".panes"), this.frames), { box } = pane;
    this.panes.push(pane);
    const choose = () => { this.active = this.panes.indexOf(pane); this.draw(); };
    box.addEventListener("focus", choose);
    box.addEventListener("contextmenu", (event) => event.preventDefault());
    box.addEventListener("pointerdown", (event) => this.#drag(pane, event, choose));
    box.addEventListener("pointermove", (event) => pane.point(event));
    box.addEventListener("pointerleave", () => pane.point(null));
    box.addEventListener("dblclick", () => { pane.reset(); this.draw(); this.#say(); });
    box.addEventListener("wheel", (event) => {
      if (event.ctrlKey) pane.zoomTo(pane.zoom * Math.exp(-event.deltaY / 400), event);
      else if (pane.info.length > 1) this.#roll(pane, event);
      else return; // a single picture leaves the wheel to the page
      event.preventDefault();
      this.draw();
    }, { passive: false });
    pane.slider.addEventListener("input", () => { choose(); this.scroll(pane, Number(pane.slider.value) - 1); });
    pane.mark.addEventListener("click", () => { choose(); this.#mark(pane); });
  }

  /** A notch of a wheel is a slice; the many small steps of a touchpad add up to one. */
  #roll(pane, event) {
    const step = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : NOTCH);
    if (!step) return;
    if (Math.sign(step) !== Math.sign(pane.rolled)) pane.rolled = 0;
    pane.rolled += Math.abs(step) < NOTCH ? step : Math.sign(step) * NOTCH;
    if (Math.abs(pane.rolled) < NOTCH) return;
    pane.rolled = 0;
    this.scroll(pane, pane.index + Math.sign(step));
  }

  /** Two fingers: the distance between them zooms, their middle moves. */
  #pinch(pane, event) {
    const fingers = [...pane.fingers.values()], before = middle(fingers);
    pane.fingers.set(event.pointerId, event);
    const after = middle([...pane.fingers.values()]);
    if (before.apart > 0) pane.zoomTo(pane.zoom * (after.apart / before.apart), after);
    pane.x += after.clientX - before.clientX;
    pane.y += after.clientY - before.clientY;
    this.draw();
  }

  #drag(pane, event, choose) {
    choose();
    pane.box.setPointerCapture(event.pointerId);
    pane.fingers.set(event.pointerId, event);
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    let [x, y] = [event.clientX, event.clientY];
    const start = event, pan = event.button === 1 || event.shiftKey || pane.shown?.colour, zoom = event.button === 2;
    const move = (now) => {
      if (now.pointerId !== event.pointerId) return;
      if (pane.fingers.size > 1) {
        this.#pinch(pane, now);
        [x, y] = [now.clientX, now.clientY];
        return;
      }
      const dx = now.clientX - x, dy = now.clientY - y;
      [x, y] = [now.clientX, now.clientY];
      if (zoom) pane.zoomTo(pane.zoom * Math.exp(-dy / 200), start);
      else if (pan) { pane.x += dx; pane.y += dy; } else if (pane.level && (dx || dy)) {
        const [centre, width] = pane.level, step = Math.max(width, pane.shown.window[1]) / 400;
        const whole = pane.shown.dtype === "<f4" || step < 0.01 ? (value) => value : Math.round;
        // Each direction moves its own number and leaves the other as the file has it.
        this.setWindow([dy ? whole(centre + dy * step) : centre, dx ? whole(width + dx * step) : width], pane);
      }
      this.draw();
    };
    const end = (now) => { // after lifting, cancelling and losing the window alike
      if (now.pointerId !== event.pointerId) return;
      pane.fingers.delete(event.pointerId);
      pane.box.removeEventListener("pointermove", move);
      pane.box.removeEventListener("lostpointercapture", end);
      this.#say();
    };
    pane.box.addEventListener("pointermove", move);
    pane.box.addEventListener("lostpointercapture", end);
  }

  #mark(pane) {
    if (pane.info.markable) this.setTrigger("act", { do: "mark", pane: pane.info.id, index: pane.index });
  }

  #key(event) {
    if (event.isComposing) return;
    // On keyboards of another script the letter printed in Latin counts.
    const key = event.key.length > 1 || /[\x20-\x7e]/.test(event.key) ? event.key : event.code.replace(/^Key/, "");
    const letter = key.toLowerCase();
    const undo = (event.ctrlKey || event.metaKey) && !event.shiftKey && letter === "z";
    if (((event.ctrlKey || event.metaKey || event.altKey) && !undo) || !this.panes.length || event.repeat && !event.key.startsWith("Arrow")) return;
    let focus = document.activeElement;
    while (focus?.shadowRoot?.activeElement) focus = focus.shadowRoot.activeElement;
    const inside = this.panes.some((pane) => pane.box === focus);
    const sliding = focus?.type === "range" && key.length === 1; // a slider takes arrows, not letters
    if (!inside && !sliding && focus?.closest?.(TYPING)) return;
    if (!inside && key.length > 1 && focus?.closest?.(CHOOSING)) return;
    if (document.querySelector("[role=dialog][aria-modal=true]")) return; // a question stands before the page
    const labelling = this.labelKeys?.[undo ? "u" : letter];
    if (undo && !labelling) return;
    if (labelling) {
      event.preventDefault();
      event.stopPropagation();
      labelling();
      return;
    }
    const { pane } = this, many = pane.info.length > 1;
    const to = (index) => (many ? () => this.scroll(pane, index) : null);
    const act = {
      ArrowUp: to(pane.index - 1), ArrowLeft: to(pane.index - 1), ArrowDown: to(pane.index + 1), ArrowRight: to(pane.index + 1),
      PageUp: to(pane.index - 10), PageDown: to(pane.index + 10), Home: to(0), End: to(pane.info.length - 1),
      i: () => { pane.invert = !pane.invert; },
      r: () => pane.reset(),
      m: pane.info.markable ? () => this.#mark(pane) : null,
      "+": () => pane.zoomTo(pane.zoom * 1.25), "=": () => pane.zoomTo(pane.zoom * 1.25),
      "-": () => pane.zoomTo(pane.zoom / 1.25),
    }[key.length === 1 ? letter : key];
    if (DIGITS.test(key) && Number(key) < this.presets.length) this.preset(Number(key));
    else if (act) { act(); this.#say(); } else return;
    event.preventDefault();
    event.stopPropagation(); // "r" would run the page again
    this.draw();
  }
}

const viewers = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue, setTriggerValue } = component;
  if (!viewers.has(parentElement)) viewers.set(parentElement, new Viewer(parentElement));
  const viewer = viewers.get(parentElement);
  if (data) viewer.take(data, setStateValue, setTriggerValue);
  return () => {
    viewer.close();
    viewers.delete(parentElement);
  };
}
