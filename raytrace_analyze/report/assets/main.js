// Brings the page to life: everything that is said without a script stays as it is.

async function start() {
  const data = JSON.parse(document.getElementById('data').textContent);
  const colours = colourReader();
  let timeline = null;
  themeButton(() => {
    colours.forget();
    if (timeline) timeline.redraw();
  });
  tipsOfDrawings();
  fitLabels();
  new ResizeObserver(() => fitLabels()).observe(document.querySelector('main'));
  flameZoom();
  if (typeof DecompressionStream === 'undefined') {
    document.getElementById('timeline-note').textContent = 'This browser is too old to draw the timeline (it has no DecompressionStream).';
    return;
  }
  const trace = await unpackTrace(data);
  const details = new Details(trace);
  document.getElementById('timeline-note').hidden = true;
  document.getElementById('timeline-parts').hidden = false;
  timeline = new Timeline(trace, colours, (span) => details.show(span));
  taskTable(trace, (span) => {
    document.getElementById('timeline').scrollIntoView();
    timeline.select(span, { show: true });
    timeline.scroller.focus({ preventScroll: true });
  });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.drawn = String(Math.round(performance.now()));
  }));
}

start();
