// The table of all tasks: sorted by any column, searched, a page at a time. None is ever left out.

const PAGE = 100;

function taskTable(trace, onChoose) {
  const box = document.getElementById('all-tasks');
  const task = trace.categories.indexOf('task') + 1;
  const all = [];
  for (let span = 0; span < trace.count; span += 1) if (trace.spans.category[span] === task) all.push(span);
  const columns = [
    ['function', (span) => trace.functions[trace.spans.function[span]] || trace.names[trace.spans.name[span]]],
    ['took', (span) => trace.spans.duration[span], durationText],
    ['waited to start', (span) => trace.spans.queue[span], durationText],
    ['waited most for', (span) => (trace.spans.queue[span] ? queueKind(trace, span)[1] : '')],
    ['started at', (span) => trace.spans.start[span], (ns) => momentText(ns, trace.makespan / 1e4, trace.makespan)],
    ['process', (span) => groupOf(trace, trace.spans.row[span])],
    ['remarks', (span) => remarks(trace, span)],
  ];
  const state = { sorted: 4, isDown: false, page: 0, list: all, wanted: '' };
  const parts = taskTableParts(columns, all.length);
  const show = () => fillTaskTable(parts, columns, state, all, onChoose);
  const arrange = () => {
    const [, value] = columns[state.sorted];
    const matches = (span) => columns.some(([, of, text]) => !text && of(span).toLowerCase().includes(state.wanted));
    state.list = state.wanted ? all.filter(matches) : all.slice();
    const keys = new Map(state.list.map((span) => [span, value(span)]));
    state.list.sort((one, other) => (keys.get(one) < keys.get(other) ? -1 : keys.get(one) > keys.get(other) ? 1 : one - other));
    if (state.isDown) state.list.reverse();
    state.page = 0;
    show();
  };
  parts.heads.forEach((head, place) => head.firstChild.addEventListener('click', () => {
    state.isDown = state.sorted === place ? !state.isDown : place === 1 || place === 2;
    state.sorted = place;
    arrange();
  }));
  parts.field.addEventListener('input', () => {
    state.wanted = parts.field.value.trim().toLowerCase();
    arrange();
  });
  parts.before.addEventListener('click', () => { state.page -= 1; show(); });
  parts.after.addEventListener('click', () => { state.page += 1; show(); });
  box.replaceChildren(...parts.all);
  box.addEventListener('toggle', () => { if (!parts.body.firstChild) arrange(); }, true);
}

function taskTableParts(columns, count) {
  const field = element('input', null, { type: 'search', 'aria-label': 'Search all tasks', placeholder: 'search tasks' });
  const heads = columns.map(([title], place) => {
    const head = element('th', null, { scope: 'col', ...(isNumber(place) && { class: 'n' }) });
    head.append(element('button', title, { type: 'button' }));
    return head;
  });
  const body = element('tbody');
  const table = element('table');
  const row = element('tr');
  row.append(...heads);
  const head = element('thead');
  head.append(row);
  table.append(element('caption', `All ${countText(count, 'task run')}`), head, body);
  const scroll = element('div', null, { class: 'scroll', role: 'region', 'aria-label': 'All task runs', tabindex: '0' });
  scroll.append(table);
  const before = element('button', 'Before', { type: 'button' });
  const after = element('button', 'Next', { type: 'button' });
  const where = element('output');
  const pager = element('div', null, { class: 'pager' });
  pager.append(field, before, where, after);
  const folded = element('details');
  folded.append(element('summary', `All ${countText(count, 'task run')}: sort and search`), pager, scroll);
  return { field, heads, body, before, after, where, all: [folded] };
}

function fillTaskTable(parts, columns, state, all, onChoose) {
  const pages = Math.max(Math.ceil(state.list.length / PAGE), 1);
  const first = state.page * PAGE;
  parts.where.textContent = `page ${state.page + 1} of ${pages}, ${countText(state.list.length, 'task run')}`
    + (state.list.length < all.length ? ` of ${all.length.toLocaleString('en')}` : '');
  parts.before.disabled = state.page === 0;
  parts.after.disabled = state.page + 1 >= pages;
  parts.heads.forEach((head, place) => {
    if (place === state.sorted) head.setAttribute('aria-sort', state.isDown ? 'descending' : 'ascending');
    else head.removeAttribute('aria-sort');
  });
  parts.body.replaceChildren(...state.list.slice(first, first + PAGE).map((span) => {
    const row = element('tr');
    columns.forEach(([, value, text], place) => {
      const shown = text ? text(value(span)) : value(span);
      const cell = place ? element('td', shown, isNumber(place) ? { class: 'n' } : {}) : element('th', null, { scope: 'row' });
      if (!place) {
        const button = element('button', null, { type: 'button', title: 'Show it in the timeline' });
        button.append(...breakable(shown || '(no name)'));
        button.addEventListener('click', () => onChoose(span));
        cell.append(button);
      }
      row.append(cell);
    });
    return row;
  }));
}

// A name that may be long: a line ends where a part of it does (report/markup.py has the same rule).
function breakable(text) {
  const parts = printable(text).split(/(?<=->)|(?<=[_./,(:])(?=[^\s_./,():])|(?<=[a-z0-9])(?=[A-Z])/);
  const pieces = parts.flatMap((part) => part.match(/.{1,20}/gs) || []);
  const made = pieces.map((piece) => (piece.endsWith('->') ? element('span', piece, { class: 'whole' }) : piece));
  return made.flatMap((piece, place) => (place ? [element('wbr'), piece] : [piece]));
}

function isNumber(place) { return place === 1 || place === 2 || place === 4; }

function groupOf(trace, row) {
  let label = '';
  for (const group of trace.groups) {
    if (group.rows && row >= group.first && row < group.first + group.rows) label = group.label;
  }
  return label;
}

function remarks(trace, span) {
  const told = flagTexts(trace.spans.flags[span]);
  if (trace.spans.spans[span] > 1) told.unshift(countText(trace.spans.spans[span], 'run'));
  return told.join(', ');
}
