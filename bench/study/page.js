"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const memory = "study-" + data.study;

  const fresh = () => {
    const wanted = Number.parseInt(new URLSearchParams(location.search).get("block"), 10);
    const known = wanted >= 0 && wanted < data.blocks.length;
    const random = crypto.getRandomValues(new Uint32Array(5));
    return {
      schema: data.schema,
      study: data.study,
      participant: Array.from(random.slice(0, 4), (n) => n.toString(16).padStart(8, "0")).join("-"),
      block: known ? wanted : random[4] % data.blocks.length,
      answers: [],
    };
  };

  const load = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(memory));
      return kept && kept.study === data.study && data.blocks[kept.block] ? kept : null;
    } catch {
      return null;
    }
  };

  const keep = () => {
    try {
      localStorage.setItem(memory, JSON.stringify(state));
    } catch {
      /* private mode: a reload starts anew */
    }
  };

  const state = load() || fresh();
  const questions = data.blocks[state.block];
  let seen = 0;
  let ready = false;

  const show = (id) => {
    for (const name of ["start", "question", "end"]) at(name).hidden = name !== id;
  };

  const picture = (image, url) =>
    new Promise((done, failed) => {
      image.onload = done;
      image.onerror = () => failed(new Error("An image could not be loaded: " + url));
      image.src = url;
    });

  const ask = async () => {
    const number = state.answers.length;
    if (number === questions.length) return finish();
    const question = questions[number];
    ready = false;
    at("place").textContent = `Question ${number + 1} of ${questions.length}`;
    at("progress").max = questions.length;
    at("progress").value = number;
    const buttons = question.options.map((_, i) => {
      const button = document.createElement("button");
      const image = document.createElement("img");
      image.alt = `Translation ${i + 1}`;
      button.type = "button";
      button.append(image, document.createTextNode(String(i + 1)));
      button.addEventListener("click", () => choose(i));
      return button;
    });
    at("options").replaceChildren(...buttons);
    show("question");
    const urls = [question.source, ...question.options];
    const images = [at("source"), ...buttons.map((button) => button.firstChild)];
    try {
      await Promise.all(images.map((image, i) => picture(image, urls[i])));
    } catch (error) {
      at("problem").textContent = error.message;
      return undefined;
    }
    ready = true;
    seen = performance.now();
    return undefined;
  };

  const choose = (choice) => {
    const question = questions[state.answers.length];
    if (!ready || !question || choice >= question.options.length) return;
    const milliseconds = Math.round(performance.now() - seen);
    state.answers.push({ question: question.id, choice, milliseconds });
    keep();
    ask();
  };

  const finish = async () => {
    const text = JSON.stringify(state);
    at("download").href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    at("download").download = `answers-${state.study}-${state.participant}.json`;
    show("end");
    at("end").focus();
    const byHand = "Please save the file below and send it to whoever asked you.";
    if (!location.protocol.startsWith("http")) {
      at("sent").textContent = byHand;
      return;
    }
    try {
      const reply = await fetch("answers", { method: "POST", body: text, headers: { "Content-Type": "application/json" } });
      at("sent").textContent = reply.ok || reply.status === 409 ? "Your answers have been sent." : byHand;
    } catch {
      at("sent").textContent = byHand;
    }
  };

  at("count").textContent = String(questions.length);
  at("begin").addEventListener("click", ask);
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || at("question").hidden) return;
    if (["1", "2", "3"].includes(event.key)) choose(Number(event.key) - 1);
  });
  if (state.answers.length) ask();
})();
