"use strict";
(function () {
  const narrow = () => window.innerWidth < 640;
  const coarse = () => window.matchMedia("(pointer: coarse)").matches;

  // Data of readers' own making are never searched for colours.
  const PLAIN = new Set(["x", "y", "z", "text", "customdata", "base", "width", "name", "hovertemplate", "ticktext"]);

  // What is too dark for a dark page, and what stands for it there.
  const BRIGHTER = [["#0072B2", "#4AA3E0"], ["#009E73", "#22B98D"], ["#D55E00", "#EE7A2A"]];
  const parts = (code) => [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16)).join(",");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const found = dark.matches ? Object.fromEntries(BRIGHTER) : {};
    for (const name of ["ink", "muted", "surface", "lines", "low", "high"]) found["@" + name] = style.getPropertyValue("--" + name).trim();
    return found;
  }

  function themed(value, known) {
    if (typeof value === "string") {
      if (Object.hasOwn(known, value)) return known[value];
      const pale = dark.matches && BRIGHTER.find(([from]) => value.startsWith(`rgba(${parts(from)},`));
      return pale ? value.replace(parts(pale[0]), parts(pale[1])) : value;
    }
    if (Array.isArray(value)) return value.map((part) => themed(part, known));
    if (value === null || typeof value !== "object") return value;
    const made = {};
    for (const key of Object.keys(value)) made[key] = PLAIN.has(key) ? value[key] : themed(value[key], known);
    return made;
  }

  function figureOf(place) {
    return JSON.parse(document.getElementById("data-" + place.id.slice("plot-".length)).textContent);
  }

  function draw(place) {
    const figure = figureOf(place);
    const known = colours();
    const layout = themed(figure.layout, known);
    const schedule = place.dataset.kind === "schedule";
    if (narrow()) {
      layout.font.size = 11;
      layout.margin.l = 34;
      layout.margin.r = 8;
    }
    // Fingers scroll the page, and have no mouse's buttons: only schedules take a drag, with buttons of their own.
    layout.modebar = { bgcolor: "rgba(0,0,0,0)" };
    layout.dragmode = coarse() ? (schedule ? "pan" : false) : "zoom";
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: coarse() ? false : "hover",
      doubleClick: "reset",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "png", scale: 2, filename: "makespan" },
    };
    const first = !place.dataset.drawn;
    place.classList.remove("undrawn");
    place.dataset.drawn = "yes";
    Plotly.react(place, themed(figure.data, known), layout, config);
    if (schedule && first) {
      addButtons(place);
      hideSmallLabels(place);
      place.on("plotly_afterplot", () => hideSmallLabels(place));
    }
  }

  // Buttons that keyboards and fingers reach.
  function zoom(place, factor) {
    const axis = place._fullLayout.xaxis;
    const [begin, end] = axis.range.map((bound) => axis.r2l(bound));
    const [middle, half] = [(begin + end) / 2, ((end - begin) / 2) * factor];
    Plotly.relayout(place, { "xaxis.range": [middle - half, middle + half] });
  }

  function addButtons(place) {
    const bar = document.createElement("div");
    bar.className = "buttons";
    const known = [
      ["Zoom in", () => zoom(place, 0.5)],
      ["Zoom out", () => zoom(place, 2)],
      ["Show all", () => draw(place)],
    ];
    for (const [name, act] of known) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", act);
      bar.append(button);
    }
    place.before(bar);
  }

  // Labels that had to be made too small for their bars: they come back when the reader looks closer.
  function hideSmallLabels(place) {
    for (const label of place.querySelectorAll("text.bartext")) {
      const scale = /scale\(([0-9.]+)/.exec(label.getAttribute("transform"));
      label.style.display = scale !== null && Number(scale[1]) < 0.75 ? "none" : "";
    }
  }

  const places = Array.from(document.querySelectorAll(".plot"));
  for (const place of places) place.classList.add("undrawn");
  const inSight = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        inSight.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "300px" },
  );
  for (const place of places) inSight.observe(place);

  const redraw = () => places.filter((place) => place.dataset.drawn).forEach(draw);
  dark.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => places.filter((place) => !place.dataset.drawn).forEach(draw));

  // Tables: a click sorts upwards, the next one downwards; what has no value stays last.
  function compare(one, other) {
    const [x, y] = [Number(one), Number(other)];
    return Number.isNaN(x) || Number.isNaN(y) ? one.localeCompare(other) : x - y;
  }

  function sort(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = Array.from(body.rows, (row) => [row.cells[column].dataset.order, row]);
    keyed.sort(([one], [other]) => {
      if (one === undefined || other === undefined) return (one === undefined) - (other === undefined);
      return down ? compare(other, one) : compare(one, other);
    });
    body.append(...keyed.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => sort(table, column, heading));
    });
  }
})();
