(() => {
  "use strict";
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const tip = document.getElementById("tip");
  const sections = [...document.querySelectorAll("section.task")], overalls = [...document.querySelectorAll("section.overall")];
  const choices = [...document.querySelectorAll(".choices select")];
  const [task, track, cost] = choices;
  let shown = () => {}; // places the tooltip that is open again
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function add(parent, name, attributes = {}, text = "") {
    const child = parent.namespaceURI === SVG || name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
    child.textContent = text;
    return parent.appendChild(child);
  }

  // ---- tables: a button in each header sorts; unknown values after known ones, failed rows last
  function sortable(table) {
    if (table.tHead.querySelector("button")) return;
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], rows = [...body.rows];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const value = (row) => row.cells[column].dataset.value;
        const compare = "text" in head.dataset ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : (a, b) => Number(a) - Number(b);
        body.append(...[...rows].sort((one, two) => {
          const a = value(one), b = value(two);
          return one.classList.contains("failed") - two.classList.contains("failed")
            || (a === "") - (b === "") || (falling ? -1 : 1) * compare(a, b);
        }));
      });
    });
  }

  // ---- scales
  function scale(values, log, from, to, room) {
    const forth = log ? (value) => (value > 0 ? Math.log10(value) : -Infinity) : (value) => value;
    const back = log ? (value) => 10 ** value : (value) => value;
    let low = forth(Math.min(...values)), high = forth(Math.max(...values));
    const pad = (high - low) * room || (log ? 0.3 : Math.abs(high) * 0.05 || 1);
    low -= pad;
    high += pad;
    const place = (value) => from + ((forth(value) - low) / (high - low)) * (to - from);
    return { place, ticks: log ? logTicks(back(low), back(high)) : ticks(low, high) };
  }

  function ticks(low, high) {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
    const found = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(12)));
    return found;
  }

  function logTicks(low, high) {
    const decades = Math.log10(high / low), factors = decades < 2 ? [1, 2, 5] : [1], every = Math.ceil(decades / 6);
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const factor of factors) if (power % every === 0) found.push(Number(`${factor}e${power}`));
    const inside = found.filter((value) => value >= low && value <= high);
    return inside.length > 1 ? inside : ticks(low, high);
  }

  function short(value) {
    const size = Math.abs(value), tidy = (number) => String(Number(number.toPrecision(6)));
    if (size && (size < 1e-3 || size >= 1e12)) return Number(value.toPrecision(6)).toExponential();
    for (const [limit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (size >= limit) return tidy(value / limit) + letter;
    return tidy(value);
  }

  // ---- charts
  function draw(figure, board, { key, label, unit }) {
    const points = board.points.filter((point) => point.x[key] !== null).sort((a, b) => a.x[key] - b.x[key]);
    const width = figure.clientWidth, height = Math.round(clamp(width * 0.68, 260, width > 700 ? 420 : 360));
    const value = (number) => (board.percent ? short(number * 100) + " %" : short(number));
    figure.replaceChildren();
    add(add(figure, "figcaption", {}, `${board.score} against ${label}`), "span", {}, board.better);
    if (!points.length) return void add(figure, "p", { class: "quiet" }, `No finished run with known ${label}.`);
    const box = { left: 50, right: width - 14, top: 12, bottom: height - 40 };
    const y = scale(points.map((point) => point.y), board.log, box.bottom, box.top, 0.1);
    const x = scale(points.map((point) => point.x[key]), true, box.left, box.right, 0.18);
    const svg = add(figure, "svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${board.title}: ${board.score} against ${label}` });
    for (const tick of y.ticks) {
      add(svg, "line", { class: "rule", x1: box.left, x2: box.right, y1: y.place(tick), y2: y.place(tick) });
      add(svg, "text", { class: "tick", x: box.left - 8, y: y.place(tick) + 4, "text-anchor": "end" }, value(tick));
    }
    add(svg, "line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom });
    for (const tick of x.ticks) {
      add(svg, "line", { class: "axis", x1: x.place(tick), x2: x.place(tick), y1: box.bottom, y2: box.bottom + 4 });
      add(svg, "text", { class: "tick", x: x.place(tick), y: box.bottom + 17, "text-anchor": "middle" }, short(tick) + unit);
    }
    add(svg, "text", { class: "tick", x: box.right, y: height - 6, "text-anchor": "end" }, `${label}, log scale →`);
    const places = points.map((point) => ({ point, x: x.place(point.x[key]), y: y.place(point.y), front: point.front.includes(key) }));
    const front = places.filter((place) => place.front);
    add(svg, "path", { class: "front", d: front.map((place, i) => (i ? `H${place.x}V${place.y}` : `M${place.x} ${place.y}`)).join("") + `H${box.right}` });
    const whisker = add(svg, "path", { class: "whisker" }), dots = add(svg, "g");
    const taken = places.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
    front.forEach((place, i) => {
      const next = front[i + 1] ?? { x: box.right, y: place.y };
      taken.push([place.x, place.y, next.x, place.y], [next.x, Math.min(place.y, next.y), next.x, Math.max(place.y, next.y)]);
    });
    for (const place of [...front, ...places.filter((place) => !place.front)]) name(svg, place, taken, box);
    for (const place of places) mark(svg, place, whisker, dots, y, box);
  }

  // A label goes beside, above or below its point, where it covers no point, label or front; else the tooltip has to do.
  function name(svg, { point, x, y, front }, taken, box) {
    const letters = [...point.model], text = letters.length > 20 ? letters.slice(0, 19).join("") + "…" : point.model;
    const node = add(svg, "text", { class: front ? "name best" : "name" }, text);
    const wide = node.getComputedTextLength();
    const beside = x + 9, before = x - 9 - wide, middle = x - wide / 2;
    const sides = front ? [before, beside] : [beside, before];
    for (const [left, base] of [
      ...sides.map((side) => [side, y + 4]), [middle, y - 10], [middle, y + 18], [beside, y - 8], [beside, y + 15], [before, y - 8], [before, y + 15],
    ]) {
      const area = [left - 2, base - 10, left + wide + 2, base + 3];
      const free = taken.every((other) => area[2] <= other[0] || area[0] >= other[2] || area[3] <= other[1] || area[1] >= other[3]);
      if (!free || area[0] < box.left || area[2] > box.right + 12 || area[1] < 0 || area[3] > box.bottom) continue;
      node.setAttribute("x", left);
      node.setAttribute("y", base);
      return void taken.push(area);
    }
    node.remove();
  }

  function mark(svg, { point, x, y, front }, whisker, dots, scaleY, box) {
    const group = add(svg, "g", { class: front ? "point best" : "point", tabindex: 0, role: "img" });
    group.setAttribute("aria-label", [point.model, ...point.lines, front ? "on the Pareto front" : ""].filter(Boolean).join(", "));
    if (point.baseline) add(group, "rect", { class: "dot", x: x - 4.5, y: y - 4.5, width: 9, height: 9 });
    else add(group, "circle", { class: "dot", cx: x, cy: y, r: 5 });
    add(group, "circle", { class: "reach", cx: x, cy: y, r: 13 });
    const show = () => {
      const edge = (value) => clamp(scaleY.place(value), box.top, box.bottom);
      whisker.setAttribute("d", point.low === null ? "" : `M${x} ${edge(point.low)}V${edge(point.high)}`);
      dots.replaceChildren();
      for (const score of point.seeds) add(dots, "circle", { class: "seed", cx: x + 9, cy: edge(score), r: 2.5 });
      tip.replaceChildren();
      add(tip, "strong", {}, point.model);
      for (const line of [...point.lines, front ? "on the Pareto front" : ""]) if (line) add(tip, "div", {}, line);
      tip.hidden = false;
      const at = group.querySelector(".dot").getBoundingClientRect(), size = tip.getBoundingClientRect();
      tip.style.left = `${clamp(at.left + at.width / 2 - size.width / 2, 8, Math.max(8, document.documentElement.clientWidth - size.width - 8))}px`;
      tip.style.top = `${at.top - size.height - 10 > 4 ? at.top - size.height - 10 : at.bottom + 10}px`;
    };
    const hide = () => { close(); whisker.setAttribute("d", ""); dots.replaceChildren(); };
    for (const event of ["pointerenter", "focus"]) group.addEventListener(event, () => { shown = show; show(); });
    for (const event of ["pointerleave", "blur"]) group.addEventListener(event, hide);
  }

  // ---- page
  function close() {
    shown = () => {};
    tip.hidden = true;
  }

  // An empty value is no choice: all tasks, all tracks.
  const fits = (choice, value) => choice.value === "" || choice.value === value;

  function filter() {
    close();
    for (const option of track.options)
      option.disabled = option.value !== "" && !sections.some(({ dataset }) => fits(task, dataset.task) && dataset.track === option.value);
    if (track.selectedOptions[0].disabled) track.value = "";
    for (const section of sections) section.hidden = !(fits(task, section.dataset.task) && fits(track, section.dataset.track));
    for (const section of overalls) section.hidden = track.value !== "" && track.selectedOptions[0].dataset.kind !== section.dataset.kind;
    for (const section of [...sections, ...overalls]) if (!section.hidden) sortable(section.querySelector("table"));
    const count = sections.filter((section) => !section.hidden).length;
    document.getElementById("count").textContent = count === sections.length ? "" : `${count} of ${sections.length} tables`;
    charts();
  }

  function charts() {
    const axes = cost.value.split(" ").map((key) => {
      const { textContent, dataset } = [...cost.options].find((option) => option.value === key);
      return { key, label: textContent, unit: dataset.unit };
    });
    sections.forEach((section, i) => {
      if (section.hidden) return;
      const host = section.querySelector(".charts");
      host.hidden = false;
      host.classList.toggle("single", axes.length === 1);
      host.querySelectorAll("figure").forEach((figure, place) => {
        figure.hidden = place >= axes.length;
        if (!figure.hidden) draw(figure, DATA[i], axes[place]);
      });
    });
  }

  // ---- the address tells what is shown, so that a link can point at it
  function restore() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    for (const choice of choices) {
      const value = wanted.get(choice.id), known = [...choice.options].some((option) => option.value === value);
      choice.value = known ? value : [...choice.options].find((option) => option.defaultSelected).value;
    }
    filter();
  }

  function remember() {
    if (location.protocol === "about:") return; // a frame without an address of its own
    const state = new URLSearchParams(choices.filter((choice) => !choice.closest("label").hidden).map(({ id, value }) => [id, value]));
    history.replaceState(null, "", `#${state}`);
  }

  addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  addEventListener("scroll", () => shown(), { passive: true });
  if (!sections.length) return;
  for (const choice of choices) {
    choice.closest("label").hidden = choice.options.length < 3; // all, and the only one
    choice.addEventListener("change", () => { filter(); remember(); });
  }
  document.querySelector(".choices").hidden = choices.every((choice) => choice.closest("label").hidden);
  addEventListener("hashchange", restore);
  restore();
  let width = document.body.clientWidth;
  new ResizeObserver(() => {
    if (width === document.body.clientWidth) return;
    width = document.body.clientWidth;
    requestAnimationFrame(() => { close(); charts(); });
  }).observe(document.body);
})();
