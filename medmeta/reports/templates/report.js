(function () {
  "use strict";
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));
  var dark = window.matchMedia("(prefers-color-scheme: dark)");

  function ink() {
    return getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  }
  function card() {
    return getComputedStyle(document.documentElement).getPropertyValue("--card").trim();
  }
  function paint(colour) {
    plots.forEach(function (plot) {
      Plotly.relayout(plot, {"font.color": colour, "hoverlabel.bgcolor": card(), "hoverlabel.font.color": colour});
    });
  }

  plots.forEach(function (plot) {
    var data = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
    data.layout.font = {family: getComputedStyle(document.body).fontFamily, size: 14, color: ink()};
    data.layout.hoverlabel = {align: "left", bgcolor: card(), font: {color: ink()}};
    Plotly.newPlot(plot, data.data, data.layout, {responsive: true, displaylogo: false, displayModeBar: false});
  });
  dark.addEventListener("change", function () { paint(ink()); });
  var folded = Array.prototype.slice.call(document.querySelectorAll("details"));
  window.addEventListener("beforeprint", function () {
    folded.forEach(function (part) { part.dataset.was = part.open ? "open" : ""; part.open = true; });
    paint("#111111");
    plots.forEach(function (plot) { Plotly.Plots.resize(plot); });
  });
  window.addEventListener("afterprint", function () {
    folded.forEach(function (part) { part.open = part.dataset.was === "open"; });
    paint(ink());
  });

  var rows = Array.prototype.slice.call(document.querySelectorAll("tr[data-cell]"));
  var filter = document.getElementById("filter");
  var said = document.getElementById("filter-text");
  var classes = JSON.parse(document.getElementById("classes").textContent);

  function show(cell) {
    var shown = 0;
    rows.forEach(function (row) {
      row.hidden = cell !== null && row.dataset.cell !== cell[0] + "-" + cell[1];
      if (!row.hidden) { shown += 1; }
    });
    filter.classList.toggle("on", cell !== null);
    if (cell !== null) {
      said.textContent = shown + (shown === 1 ? " scan of “" : " scans of “") + classes[cell[0]] +
        "” predicted as “" + classes[cell[1]] + "”";
    }
  }
  var matrix = document.getElementById("plot-confusion");
  matrix.on("plotly_click", function (event) {
    var cell = event.points.map(function (point) { return point.customdata; }).filter(Boolean)[0];
    if (cell) {
      show(cell);
      document.getElementById("cases").scrollIntoView({behavior: "smooth"});
    }
  });
  document.getElementById("filter-clear").addEventListener("click", function () { show(null); });
})();
