// Draws the part of the timeline that is in view.

const AXIS = 20;
const PATH = 16;
const TOP = AXIS + PATH + 6;
const FUNCTION_COLOURS = 8;
const LEAST_LETTERS = 7;

function drawTimeline(context, trace, layout, view, colours) {
  const { width, height } = view;
  context.clearRect(0, 0, width, height);
  context.font = '11px system-ui, sans-serif';
  context.textBaseline = 'middle';
  context.save();
  context.beginPath();
  context.rect(0, TOP, width, height - TOP);
  context.clip();
  context.translate(0, TOP - view.scroll);
  grid(context, trace, view, colours);
  for (const head of layout.heads) heading(context, head, view, colours);
  for (let row = 0; row < trace.rows; row += 1) {
    const y = layout.top[row];
    if (y + ROW >= view.scroll && y <= view.scroll + height) drawRow(context, trace, layout, view, colours, row);
  }
  drawPath(context, trace, layout, view, colours);
  if (view.selected >= 0) drawSelected(context, trace, layout, view, colours);
  context.restore();
  drawTop(context, trace, view, colours);
}

function xOf(view, time) {
  return ((time - view.from) / (view.to - view.from)) * view.width;
}

function ticks(view) {
  const rough = ((view.to - view.from) / view.width) * 110;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough));
  const found = [];
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) found.push(time);
  return { step, found };
}

function grid(context, trace, view, colours) {
  context.fillStyle = colours.of('line');
  for (const time of ticks(view).found) context.fillRect(Math.round(xOf(view, time)), view.scroll, 1, view.height);
}

function heading(context, head, view, colours) {
  if (head.y + HEAD < view.scroll || head.y > view.scroll + view.height) return;
  context.fillStyle = colours.of(head.isNode ? 'text' : 'quiet');
  context.font = head.isNode ? '600 12px system-ui, sans-serif' : '11px system-ui, sans-serif';
  context.fillText(shortened(context, head.label, view.width - 16), 8, head.y + HEAD / 2 + 1);
  context.font = '11px system-ui, sans-serif';
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = Math.floor((room / context.measureText(text).width) * text.length) - 1;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
  return length >= LEAST_LETTERS ? `${text.slice(0, length)}…` : '';
}

function colourOf(trace, span) {
  const category = trace.categories[trace.spans.category[span] - 1];
  if (trace.spans.flags[span] & FLAGS.error) return 'bad';
  if (category === 'submit') return 'c-submit';
  if (category === 'wait') return 'c-wait';
  if (category === 'put') return 'c-fetch';
  if (category === 'driver') return 'f-7';
  return trace.spans.function[span] ? `f-${(trace.spans.function[span] - 1) % (FUNCTION_COLOURS - 1)}` : 'f-7';
}

function drawRow(context, trace, layout, view, colours, row) {
  const y = layout.top[row] + 1;
  const tall = TALL;
  let drawnTo = -1;
  for (let place = firstFrom(trace, layout, row, view.from); place < layout.first[row + 1]; place += 1) {
    const span = layout.items[place];
    if (trace.spans.start[span] > view.to) break;
    const left = Math.max(xOf(view, trace.spans.start[span]), -2);
    const right = Math.min(xOf(view, endOf(trace, span)), view.width + 2);
    if (right <= drawnTo && right - left < 1) continue;
    const wide = Math.max(right - left - (right - left > 3 ? 1 : 0), 1);
    const isFaint = view.found && !view.found.has(span);
    context.globalAlpha = isFaint ? 0.18 : trace.spans.spans[span] > 1 ? 0.55 : 1;
    context.fillStyle = colours.of(colourOf(trace, span));
    context.fillRect(left, y, wide, tall);
    if (wide > 5) marks(context, trace, span, left, y, wide, tall, colours);
    if (wide > 34 && !isFaint) name(context, trace, span, left, y, wide, colours);
    context.globalAlpha = 1;
    drawnTo = Math.max(Math.ceil(right), Math.floor(left) + 1);
  }
}

// Waits are hatched, what never ended is frayed, attempts without a span are only an outline.
function marks(context, trace, span, left, y, wide, tall, colours) {
  const flags = trace.spans.flags[span];
  context.save();
  context.beginPath();
  context.rect(left, y, wide, tall);
  context.clip();
  if (trace.categories[trace.spans.category[span] - 1] === 'wait') hatch(context, left, y, wide, tall, colours.of('hatch'));
  if (flags & FLAGS.lost) {
    context.fillStyle = colours.of('paper');
    context.fillRect(left + 2, y + 2, wide - 4, tall - 4);
  }
  if (flags & FLAGS.open) {
    context.fillStyle = colours.of('paper');
    for (let x = left + wide - 12; x < left + wide; x += 4) context.fillRect(x, y, 2, tall);
  }
  context.restore();
}

function hatch(context, left, y, wide, tall, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let x = Math.floor(left / 7) * 7 - tall; x < left + wide; x += 7) {
    context.moveTo(x, y + tall);
    context.lineTo(x + tall, y);
  }
  context.stroke();
}

function name(context, trace, span, left, y, wide, colours) {
  const isLost = trace.spans.flags[span] & FLAGS.lost;
  const isWait = trace.categories[trace.spans.category[span] - 1] === 'wait';
  const text = shortened(context, labelOf(trace, span), wide - 8 - Math.max(0, -left));
  if (!text) return;
  const x = Math.max(left, 0) + 4;
  if (isWait) {
    context.fillStyle = colours.of('c-wait');
    context.fillRect(x - 2, y + 1, context.measureText(text).width + 4, TALL - 2);
  }
  context.fillStyle = colours.of(isLost ? 'text' : 'paper');
  context.fillText(text, x, y + TALL / 2 + 0.5);
}

function labelOf(trace, span) {
  if (trace.spans.spans[span] > 1) {
    return `${countText(trace.spans.spans[span], 'span')} of ${trace.functions[trace.spans.function[span]] || 'other kinds'}`;
  }
  const category = trace.categories[trace.spans.category[span] - 1];
  const named = trace.functions[trace.spans.function[span]];
  if (category === 'task' && named) return named;
  if (category === 'submit' && named) return `submit ${named}`;
  return trace.names[trace.spans.name[span]] || '(no name)';
}

// Where the path runs: a bar below each span on it, before a task its wait, and a line from one to the next.
function drawPath(context, trace, layout, view, colours) {
  const { path } = trace;
  let before = -1;
  let last = null;
  const strength = jointStrength(trace, view);
  for (let place = 0; place < path.count; place += 1) {
    const start = path.start[place];
    const span = path.span[place] - 1;
    const row = span < 0 ? -1 : trace.spans.row[span];
    if (row >= 0 && before >= 0 && row !== before) joint(context, xOf(view, start), layout, before, row, view, colours, strength);
    if (row >= 0) {
      const left = Math.max(xOf(view, start), -2);
      const right = Math.min(xOf(view, start + path.duration[place]), view.width + 2);
      if (right >= 0 && left <= view.width && (last === null || right > last || row !== before)) {
        if (right - left > 2) {
          context.fillStyle = colours.of('path');
          context.fillRect(left, layout.top[row] + ROW - 4, right - left, 4);
        }
        context.fillStyle = colours.of(`c-${trace.kinds[path.kind[place]][0]}`);
        context.fillRect(left, layout.top[row] + ROW - 3, Math.max(right - left, 1), 2);
        last = right;
      }
    }
    before = row >= 0 ? row : before;
  }
}

// Many lines beside each other are fainter, so that what lies below them can be seen.
function jointStrength(trace, view) {
  let inView = 0;
  for (let place = 0; place < trace.path.count; place += 1) {
    const start = trace.path.start[place];
    if (start >= view.from && start <= view.to) inView += 1;
  }
  return Math.min(1, Math.max(0.12, view.width / (12 * Math.max(inView, 1))));
}

function joint(context, x, layout, from, to, view, colours, strength) {
  if (x < 0 || x > view.width) return;
  context.globalAlpha = strength;
  context.fillStyle = colours.of('path');
  const [upper, lower] = [layout.top[from], layout.top[to]].sort((one, other) => one - other);
  context.fillRect(Math.round(x), upper + ROW - 4, 1.5, lower - upper + 3);
  context.globalAlpha = 1;
}

function drawSelected(context, trace, layout, view, colours) {
  const span = view.selected;
  const y = layout.top[trace.spans.row[span]];
  const left = Math.max(xOf(view, trace.spans.start[span]), -4);
  const right = Math.min(xOf(view, endOf(trace, span)), view.width + 4);
  if (trace.spans.queue[span] > 0) {
    const since = Math.max(xOf(view, trace.spans.start[span] - trace.spans.queue[span]), -4);
    context.fillStyle = colours.of(`c-${queueKind(trace, span)[0]}`);
    context.fillRect(since, y + TALL / 2 - 1, left - since, 4);
  }
  context.strokeStyle = colours.of('path');
  context.lineWidth = 2;
  context.strokeRect(left, y, Math.max(right - left, 2), TALL + 2);
}

function queueKind(trace, span) {
  return trace.kinds[trace.spans.queueKind[span] - 1] || ['queue', 'waiting to start'];
}

// What stays at the top: the times, and the path by cause.
function drawTop(context, trace, view, colours) {
  context.fillStyle = colours.of('paper');
  context.fillRect(0, 0, view.width, TOP);
  context.fillStyle = colours.of('quiet');
  const { step, found } = ticks(view);
  for (const time of found) {
    const text = momentText(time, step, trace.makespan);
    const x = xOf(view, time);
    const wide = context.measureText(text).width;
    if (x + wide + 6 < view.width) context.fillText(text, x + 3, AXIS / 2);
  }
  const { path } = trace;
  let drawnTo = -1;
  for (let place = 0; place < path.count; place += 1) {
    const left = Math.max(xOf(view, path.start[place]), 0);
    const right = Math.min(xOf(view, path.start[place] + path.duration[place]), view.width);
    if (right < 0 || left > view.width || (right <= drawnTo && right - left < 1)) continue;
    context.fillStyle = colours.of(`c-${trace.kinds[path.kind[place]][0]}`);
    context.fillRect(left, AXIS, Math.max(right - left, 1), PATH);
    drawnTo = Math.ceil(right);
  }
  context.fillStyle = colours.of('line');
  context.fillRect(0, TOP - 1, view.width, 1);
}
