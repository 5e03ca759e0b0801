"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const canvas = at("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const paper = data.dark ? "#000000" : "#ffffff";
  const colours = { black: "#000000", white: "#ffffff", grey: "#808080", red: "#e8413c", orange: "#f59a2f",
    yellow: "#ffd23f", green: "#35a854", blue: "#2f7de1", brown: "#8b5a2b" };
  const state = { colour: data.dark ? "white" : "black", seed: 0, down: null, undo: [], asked: 0,
    key: { x: 128, y: 128, down: false } };
  const choice = data.runs.map(() => ({ reference: null, label: null }));

  const make = (tag, values, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(values)) {
      if (name in node) node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  // --- the translations ---

  const shown = data.runs.map((run, index) => {
    const picture = make("img", { className: "made", alt: "Translation by " + run.name });
    const figure = make("figure", {}, picture, make("figcaption", {}, make("strong", {}, run.name), " ", run.what));
    if (run.labels.length > 1) figure.append(labels(run, index));
    if (run.references) figure.append(references(run, index));
    at("runs").append(figure);
    return picture;
  });

  function labels(run, index) {
    const select = make("select", {}, make("option", { value: "" }, "drawn"));
    for (const label of run.labels) select.append(make("option", { value: label.number }, label.name));
    select.addEventListener("change", () => {
      choice[index].label = select.value === "" ? null : Number(select.value);
      translate(index);
    });
    return make("label", {}, "Class ", select);
  }

  function references(run, index) {
    const row = make("div", { className: "row", role: "group" });
    row.setAttribute("aria-label", "References of " + run.name);
    const choose = (number) => {
      choice[index].reference = number;
      [...row.children].forEach((b, i) => b.setAttribute("aria-pressed", String(i === (number === null ? 0 : number + 1))));
      translate(index);
    };
    row.append(make("button", { type: "button", "aria-pressed": "true", onclick: () => choose(null) }, "drawn"));
    for (let i = 0; i < run.references; i += 1) {
      const image = make("img", { src: `references-${index}/${i}.png`, alt: "Reference " + (i + 1) });
      row.append(make("button", { type: "button", className: "thumb", "aria-pressed": "false", onclick: () => choose(i) }, image));
    }
    return make("details", { open: true }, make("summary", {}, "Reference"), row);
  }

  const png = () => new Promise((done) => canvas.toBlob(done, "image/png"));

  let active = 0;
  const busy = (change) => {
    active += change;
    at("runs").setAttribute("aria-busy", String(active > 0));
  };

  async function translate(...indices) {
    busy(1);
    const wanted = indices.length ? indices : data.runs.map((_, index) => index);
    const number = ++state.asked;
    const began = performance.now();
    const image = await png();
    try {
      for (const index of wanted) {
        const asked = new URLSearchParams({ run: index, seed: state.seed });
        for (const [name, value] of Object.entries(choice[index])) if (value !== null) asked.set(name, value);
        const answer = await fetch("translate?" + asked, { method: "POST", body: image });
        if (!answer.ok) throw new Error(await answer.text());
        const address = URL.createObjectURL(await answer.blob());
        const before = shown[index].src;
        shown[index].src = address;
        shown[index].dataset.seed = state.seed;
        if (before.startsWith("blob:")) URL.revokeObjectURL(before);
      }
      at("problem").textContent = "";
      if (number === state.asked) {
        at("status").textContent = "Translated in " + ((performance.now() - began) / 1000).toFixed(1) + " s";
        canvas.dataset.translated = number;
      }
    } catch (error) {
      // fetch itself fails with a TypeError: nobody listens any more
      const why = error instanceof TypeError ? "bench play no longer answers; start it again, then reload" : error.message;
      at("problem").textContent = "No translation: " + why;
    } finally {
      busy(-1);
    }
  }

  // While one translation runs, only the last change after it is translated.
  let running = false;
  let waiting = false;
  async function changed() {
    waiting = true;
    if (running) return;
    running = true;
    while (waiting) {
      waiting = false;
      await translate();
    }
    running = false;
  }

  const draws = data.runs.some((run) => run.draws);
  const sayDraw = () => { at("draw").textContent = draws ? "draw " + (state.seed + 1) : "these runs draw nothing"; };
  const again = () => {
    if (!draws) return;
    state.seed += 1;
    sayDraw();
    changed();
  };
  at("again").disabled = !draws;
  at("again").addEventListener("click", again);
  sayDraw();

  // --- the drawing ---

  const remember = () => {
    state.undo.push(pen.getImageData(0, 0, canvas.width, canvas.height));
    if (state.undo.length > 50) state.undo.shift();
  };
  const fill = () => {
    pen.fillStyle = paper;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  };
  const line = (from, to) => {
    pen.strokeStyle = colours[state.colour];
    pen.lineWidth = Number(at("width").value);
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x + 0.01, to.y);
    pen.stroke();
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const edge = canvas.clientLeft;
    const scale = canvas.width / canvas.clientWidth;
    return { x: (event.clientX - box.left - edge) * scale, y: (event.clientY - box.top - edge) * scale };
  };
  const undo = () => {
    const before = state.undo.pop();
    if (before) {
      pen.putImageData(before, 0, 0);
      changed();
    }
  };
  const clear = () => {
    remember();
    fill();
    changed();
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    remember();
    state.down = place(event);
    line(state.down, state.down);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.down) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const next = place(one);
      line(state.down, next);
      state.down = next;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (state.down) changed();
      state.down = null;
    });
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    const { key } = state;
    const move = moves[event.key];
    const letter = event.key.toLowerCase();
    if (move) {
      const clamp = (v) => Math.min(canvas.width, Math.max(0, v));
      const next = { x: clamp(key.x + 8 * move[0]), y: clamp(key.y + 8 * move[1]) };
      if (key.down) {
        line(key, next);
        changed();
      }
      Object.assign(key, next);
      at("status").textContent = `Pen at ${next.x}, ${next.y}, ${key.down ? "down" : "up"}`;
    } else if (event.key === " ") {
      key.down = !key.down;
      if (key.down) {
        remember();
        line(key, key);
        changed();
      }
      at("status").textContent = key.down ? "Pen down" : "Pen up";
    } else if (letter === "u" || (letter === "z" && (event.ctrlKey || event.metaKey))) undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (letter === "c") clear();
    else if (letter === "n") again();
    else return;
    event.preventDefault();
  });
  at("undo").addEventListener("click", undo);
  at("clear").addEventListener("click", clear);

  const dot = (colour) => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    const circle = document.createElementNS(space, "circle");
    svg.setAttribute("viewBox", "0 0 10 10");
    for (const [name, value] of Object.entries({ cx: 5, cy: 5, r: 4.5, fill: colour, stroke: "#767676" })) circle.setAttribute(name, value);
    svg.append(circle);
    return svg;
  };
  for (const [name, colour] of Object.entries(colours)) {
    const button = make("button", { type: "button", title: name, "aria-label": name }, dot(colour));
    button.setAttribute("aria-pressed", String(name === state.colour));
    button.addEventListener("click", () => {
      state.colour = name;
      [...at("tools").children].forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    });
    at("tools").append(button);
  }

  // --- images of one's own: chosen, dropped, pasted, or held out ---

  const take = async (blob) => {
    try {
      const image = await createImageBitmap(blob);
      const side = Math.min(image.width, image.height);
      remember();
      fill();
      pen.imageSmoothingEnabled = canvas.width % side !== 0; // pixels of a small image stay squares
      pen.imageSmoothingQuality = "high";
      pen.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, canvas.width, canvas.height);
      changed();
    } catch {
      at("problem").textContent = "This file is no image that the browser can read.";
    }
  };
  at("file").addEventListener("change", () => at("file").files.length && take(at("file").files[0]));
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) take(file);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  at("held-out").hidden = data.sources === 0;
  for (let i = 0; i < data.sources; i += 1) {
    const image = make("img", { src: `sources/${i}.png`, alt: "Held-out source " + (i + 1) });
    const choose = async () => take(await (await fetch(image.src)).blob());
    at("sources").append(make("button", { type: "button", className: "thumb", onclick: choose }, image));
  }

  fill();
  changed();
})();
