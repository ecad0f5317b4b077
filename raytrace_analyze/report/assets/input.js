// Mouse, keys, buttons and search of the timeline.

function pointerInput(timeline) {
  const { scroller, canvas } = timeline;
  let drag = null;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  scroller.addEventListener('wheel', (event) => {
    const [x] = point(event);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      timeline.zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 120)) * 0.35), x);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      timeline.pan((event.deltaX || event.deltaY) / 900);
    }
  }, { passive: false });
  scroller.addEventListener('pointerdown', (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false, top: scroller.scrollTop };
  });
  addEventListener('pointermove', (event) => {
    if (!drag) return;
    const across = event.clientX - drag.x;
    const down = event.clientY - drag.y;
    if (!drag.moved && Math.abs(across) + Math.abs(down) < 5) return;
    drag.moved = true;
    scroller.classList.add('dragging');
    timeline.pan(-across / timeline.view.width);
    drag.x = event.clientX;
    if (event.pointerType === 'mouse') scroller.scrollTop = drag.top - down;
  });
  addEventListener('pointerup', (event) => {
    if (drag && !drag.moved && scroller.contains(event.target)) choose(timeline, ...point(event));
    drag = null;
    scroller.classList.remove('dragging');
  });
  scroller.addEventListener('dblclick', (event) => {
    const span = timeline.spanAt(...point(event));
    if (span >= 0) timeline.zoomTo(span);
  });
  scroller.addEventListener('pointermove', (event) => {
    const text = drag && drag.moved ? '' : tipText(timeline, ...point(event));
    if (text) tip.show(text, event.clientX, event.clientY);
    else tip.hide();
  });
  scroller.addEventListener('pointerleave', () => tip.hide());
}

function choose(timeline, x, y) {
  const step = timeline.stepAt(x, y);
  if (step >= 0 && timeline.trace.path.span[step]) {
    timeline.step = step;
    timeline.select(timeline.trace.path.span[step] - 1, { show: true });
  } else if (step < 0) {
    timeline.select(timeline.spanAt(x, y));
  }
}

function tipText(timeline, x, y) {
  const { trace } = timeline;
  const step = timeline.stepAt(x, y);
  if (step >= 0) {
    const span = trace.path.span[step] - 1;
    const what = span < 0 ? 'the driver' : labelOf(trace, span);
    return `critical path: ${what}\n${trace.kinds[trace.path.kind[step]][1]}, ${durationText(trace.path.duration[step])}`;
  }
  const span = timeline.spanAt(x, y);
  if (span < 0) return '';
  const waited = trace.spans.queue[span];
  const lines = [labelOf(trace, span), durationText(trace.spans.duration[span])];
  if (waited) lines.push(`waited ${durationText(waited)} to start: ${queueKind(trace, span)[1]}`);
  lines.push(...flagTexts(trace.spans.flags[span]));
  return lines.join('\n');
}

function flagTexts(flags) {
  const told = [];
  if (flags & FLAGS.path) told.push('on the critical path');
  if (flags & FLAGS.error) told.push('failed');
  if (flags & FLAGS.open) told.push('never ended');
  if (flags & FLAGS.lost) told.push('left no span: known from task events only');
  return told;
}

function keyInput(timeline) {
  const { scroller } = timeline;
  const actions = {
    ArrowLeft: () => timeline.pan(-0.15),
    ArrowRight: () => timeline.pan(0.15),
    ArrowUp: () => { scroller.scrollTop -= 3 * ROW; },
    ArrowDown: () => { scroller.scrollTop += 3 * ROW; },
    '+': () => timeline.zoom(0.7),
    '=': () => timeline.zoom(0.7),
    '-': () => timeline.zoom(1.4),
    Home: () => timeline.whole(),
    0: () => timeline.whole(),
    n: () => timeline.follow(1),
    p: () => timeline.follow(-1),
    Enter: () => { if (timeline.view.selected >= 0) timeline.zoomTo(timeline.view.selected); },
    Escape: () => timeline.select(-1),
    '/': () => document.getElementById('find').focus(),
  };
  scroller.addEventListener('keydown', (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

function buttonInput(timeline) {
  const actions = {
    'zoom-in': () => timeline.zoom(0.6),
    'zoom-out': () => timeline.zoom(1.6),
    'zoom-whole': () => timeline.whole(),
    'path-before': () => timeline.follow(-1),
    'path-next': () => timeline.follow(1),
  };
  for (const [id, action] of Object.entries(actions)) document.getElementById(id).addEventListener('click', action);
}

// Marks the spans whose function or name holds a text; Enter goes from one to the next.
function searchInput(timeline) {
  const { trace, view } = timeline;
  const field = document.getElementById('find');
  const told = document.getElementById('found');
  let list = [];
  let place = -1;
  const search = () => {
    const wanted = field.value.trim().toLowerCase();
    list = wanted ? matching(trace, wanted) : [];
    place = -1;
    view.found = wanted ? new Set(list) : null;
    told.textContent = wanted ? `${countText(list.length, 'span')} found` : '';
    timeline.redraw();
  };
  field.addEventListener('input', search);
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && list.length) {
      place = (place + (event.shiftKey ? list.length - 1 : 1)) % list.length;
      if (place < 0) place = list.length - 1;
      told.textContent = `${place + 1} of ${countText(list.length, 'span')}`;
      timeline.select(list[place], { show: true });
    } else if (event.key === 'Escape') {
      field.value = '';
      search();
    }
  });
}

function matching(trace, wanted) {
  const holds = (texts) => texts.map((text) => text.toLowerCase().includes(wanted));
  const [names, functions] = [holds(trace.names), holds(trace.functions)];
  const isError = 'failed'.startsWith(wanted) || wanted === 'error';
  const found = [];
  for (let span = 0; span < trace.count; span += 1) {
    const { name: of, function: by, flags } = trace.spans;
    if (names[of[span]] || functions[by[span]] || (isError && flags[span] & FLAGS.error)) found.push(span);
  }
  return found;
}
