// What is known of one span: its times at once, its attributes as soon as their block is unpacked.

class Details {
  constructor(trace) {
    this.trace = trace;
    this.box = document.getElementById('details');
    this.blocks = new Map();
    const { order } = trace.details;
    this.placeOf = new Map();
    const count = order ? order.length : trace.count;
    for (let place = 0; place < count; place += 1) this.placeOf.set(order ? order[place] : place, place);
  }

  async show(span) {
    this.shown = span;
    if (span < 0) {
      this.box.hidden = true;
      return;
    }
    this.box.hidden = false;
    this.fill(span, {}, null);
    const known = await this.about(span);
    if (this.shown === span) this.fill(span, known || {}, known ? null : this.trace.details.missing);
  }

  async about(span) {
    const place = this.placeOf.get(span);
    const { block, blocks, resources } = this.trace.details;
    if (place === undefined) return null;
    const number = Math.floor(place / block);
    if (!this.blocks.has(number)) this.blocks.set(number, unpackTexts(blocks[number]));
    const { r: resource, a: attributes, e: events, l: links, ...ids } = (await this.blocks.get(number))[place % block];
    return { ...ids, ...(events && { events }), ...(links && { links }), ...attributes, ...resources[resource] };
  }

  fill(span, known, missing) {
    const { trace } = this;
    const { spans } = trace;
    const list = element('dl');
    const add = (key, value) => list.append(element('dt', key), element('dd', typeof value === 'string' ? value : JSON.stringify(value)));
    add('what', trace.categories[spans.category[span] - 1] || 'span');
    add('took', durationText(spans.duration[span]));
    add('started at', momentText(spans.start[span], trace.makespan / 1e4, trace.makespan));
    if (spans.queue[span]) add('waited to start', `${durationText(spans.queue[span])}, most of it: ${queueKind(trace, span)[1]}`);
    for (const text of flagTexts(spans.flags[span])) add('note', text);
    if (spans.spans[span] > 1) add('spans', `${spans.spans[span].toLocaleString('en')} summed up in one box`);
    for (const [key, value] of Object.entries(known)) add(key, value);
    const parts = [element('h3', labelOf(trace, span)), list];
    if (missing) parts.push(element('p', missing, { class: 'small' }));
    this.box.replaceChildren(...parts);
  }
}
