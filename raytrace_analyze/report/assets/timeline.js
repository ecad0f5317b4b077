// The timeline: what is in view, and what mouse, keys and search do to it.

const LEAST_NS = 20;

class Timeline {
  constructor(trace, colours, onSelect) {
    this.trace = trace;
    this.colours = colours;
    this.onSelect = onSelect;
    this.layout = laidOut(trace);
    this.scroller = document.getElementById('timeline-scroll');
    this.canvas = this.scroller.querySelector('canvas');
    this.context = this.canvas.getContext('2d');
    this.view = { from: 0, to: Math.max(trace.makespan, 1), width: 0, height: 0, scroll: 0, selected: -1, found: null };
    this.step = -1;
    this.whole();
    this.resize();
    new ResizeObserver(() => this.resize()).observe(this.scroller);
    this.scroller.addEventListener('scroll', () => this.redraw());
    pointerInput(this);
    keyInput(this);
    searchInput(this);
    buttonInput(this);
  }

  whole() {
    const margin = this.trace.makespan * 0.005;
    this.look(-margin, this.trace.makespan + margin);
  }

  look(from, to) {
    const longest = this.trace.makespan * 1.2 + LEAST_NS;
    let length = Math.min(Math.max(to - from, LEAST_NS), longest);
    const middle = (from + to) / 2;
    const least = -0.1 * this.trace.makespan;
    const start = Math.min(Math.max(middle - length / 2, least), this.trace.makespan * 1.1 - length);
    this.view.from = Math.max(start, least);
    this.view.to = this.view.from + length;
    this.redraw();
  }

  zoom(factor, x = this.view.width / 2) {
    const at = this.timeAt(x);
    this.look(at - (at - this.view.from) * factor, at + (this.view.to - at) * factor);
  }

  pan(share) {
    const by = (this.view.to - this.view.from) * share;
    this.look(this.view.from + by, this.view.to + by);
  }

  timeAt(x) { return this.view.from + (x / this.view.width) * (this.view.to - this.view.from); }

  spanAt(x, y) {
    if (y < TOP) return -1;
    const slack = ((this.view.to - this.view.from) / this.view.width) * 2;
    return spanAt(this.trace, this.layout, this.timeAt(x), y - TOP + this.view.scroll, slack);
  }

  // The step of the path at a point of the strip at the top; -1 for none.
  stepAt(x, y) {
    if (y < AXIS || y > AXIS + PATH) return -1;
    const { path } = this.trace;
    const time = this.timeAt(x);
    for (let place = 0; place < path.count; place += 1) {
      if (path.start[place] <= time && time < path.start[place] + path.duration[place]) return place;
    }
    return -1;
  }

  select(span, { show = false } = {}) {
    this.view.selected = span;
    if (show && span >= 0) this.reveal(span);
    this.redraw();
    this.onSelect(span);
  }

  reveal(span) {
    const y = this.layout.top[this.trace.spans.row[span]];
    const room = this.view.height - TOP;
    if (y < this.scroller.scrollTop || y + ROW > this.scroller.scrollTop + room) this.scroller.scrollTop = y - room / 2;
    const start = this.trace.spans.start[span];
    const end = endOf(this.trace, span);
    const shown = this.view.to - this.view.from;
    if (end < this.view.from || start > this.view.to || end - start < shown / 200) {
      const length = Math.max((end - start) * 6, LEAST_NS * 10);
      this.look((start + end - length) / 2, (start + end + length) / 2);
    }
  }

  zoomTo(span) {
    const length = Math.max(this.trace.spans.duration[span], LEAST_NS);
    this.look(this.trace.spans.start[span] - length * 0.15, endOf(this.trace, span) + length * 0.15);
  }

  // Goes to the next step of the path (or the one before) that has a span.
  follow(direction) {
    const { path } = this.trace;
    for (let place = this.step + direction; place >= 0 && place < path.count; place += direction) {
      const span = path.span[place] - 1;
      if (span >= 0 && span !== this.view.selected) {
        this.step = place;
        this.select(span, { show: true });
        return;
      }
    }
  }

  resize() {
    const width = this.scroller.clientWidth;
    const wanted = TOP + this.layout.height;
    const height = Math.min(wanted, Math.max(innerHeight * 0.62, 260));
    const dots = devicePixelRatio || 1;
    this.scroller.style.height = `${height}px`;
    this.scroller.querySelector('.room').style.height = `${Math.max(wanted - height, 0)}px`;
    this.canvas.width = Math.round(width * dots);
    this.canvas.height = Math.round(height * dots);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.context.setTransform(dots, 0, 0, dots, 0, 0);
    Object.assign(this.view, { width, height });
    this.redraw();
  }

  redraw() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.view.scroll = this.scroller.scrollTop;
      if (this.view.width) drawTimeline(this.context, this.trace, this.layout, this.view, this.colours);
    });
  }
}
