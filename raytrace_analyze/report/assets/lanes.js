// Where everything in the timeline lies: rows from top to bottom, spans by row, what is at a point.

const ROW = 19;
const TALL = 14;
const HEAD = 19;

function laidOut(trace) {
  const top = new Float64Array(trace.rows);
  const heads = [];
  let y = 4;
  for (const group of trace.groups) {
    heads.push({ label: group.label, y, isNode: group.rows === 0 });
    y += HEAD;
    for (let row = 0; row < group.rows; row += 1) {
      top[group.first + row] = y;
      y += ROW;
    }
    if (group.rows) y += 4;
  }
  // The spans of each row in order of time: they neither nest nor overlap there.
  const first = new Uint32Array(trace.rows + 1);
  for (let span = 0; span < trace.count; span += 1) first[trace.spans.row[span] + 1] += 1;
  for (let row = 0; row < trace.rows; row += 1) first[row + 1] += first[row];
  const next = first.slice();
  const items = new Uint32Array(trace.count);
  for (let span = 0; span < trace.count; span += 1) {
    const row = trace.spans.row[span];
    items[next[row]] = span;
    next[row] += 1;
  }
  return { top, heads, first, items, height: y + 6 };
}

function endOf(trace, span) {
  return trace.spans.start[span] + trace.spans.duration[span];
}

// The place in `items` of the first span of a row that ends at a time or later.
function firstFrom(trace, layout, row, time) {
  let low = layout.first[row];
  let high = layout.first[row + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(trace, layout.items[middle]) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function rowAt(layout, y) {
  let low = 0;
  let high = layout.top.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layout.top[middle] + ROW <= y) low = middle + 1;
    else high = middle;
  }
  return low < layout.top.length && layout.top[low] <= y ? low : -1;
}

// The span at a time and a height, or the nearest within `slack` ns; -1 for none.
function spanAt(trace, layout, time, y, slack) {
  const row = rowAt(layout, y);
  if (row < 0) return -1;
  const place = firstFrom(trace, layout, row, time - slack);
  if (place >= layout.first[row + 1]) return -1;
  const span = layout.items[place];
  return trace.spans.start[span] <= time + slack ? span : -1;
}
