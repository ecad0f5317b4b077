// Colours, the tip at the pointer, labels that fit, and what printing needs.

function colourReader() {
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const known = new Map();
  return {
    of(name) {
      if (!known.has(name)) {
        probe.style.color = `var(--${name})`;
        known.set(name, getComputedStyle(probe).color);
      }
      return known.get(name);
    },
    forget() { known.clear(); },
  };
}

function themeButton(redraw) {
  const button = document.getElementById('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  let isDark = system.matches;
  const show = () => {
    button.textContent = isDark ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Show the page in ${isDark ? 'light' : 'dark'} colours`);
    redraw();
  };
  button.addEventListener('click', () => {
    isDark = !isDark;
    document.documentElement.style.colorScheme = isDark ? 'dark' : 'light';
    show();
  });
  system.addEventListener('change', () => {
    if (!document.documentElement.style.colorScheme) isDark = system.matches;
    show();
  });
  addEventListener('beforeprint', () => {
    for (const each of document.querySelectorAll('details')) each.open = true;
  });
  button.hidden = false;
  show();
}

const tip = {
  show(text, x, y) {
    const box = document.getElementById('tip');
    box.textContent = text;
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    box.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
  },
  hide() { document.getElementById('tip').hidden = true; },
};

// What drawings say in a <title> is shown at once, and not by the browser a second later.
function tipsOfDrawings() {
  const texts = new Map();
  for (const title of document.querySelectorAll('.chart title')) {
    texts.set(title.parentElement, title.textContent);
    title.remove();
  }
  document.addEventListener('pointermove', (event) => {
    if (event.target.closest('#timeline-view')) return;
    let at = event.target;
    while (at && at !== document && !texts.has(at)) at = at.parentNode;
    if (at && texts.has(at)) tip.show(texts.get(at), event.clientX, event.clientY);
    else tip.hide();
  });
}

// A name that its box has no room for is left to the tip.
function fitLabels(root = document) {
  for (const text of root.querySelectorAll('text.fits')) {
    const room = text.ownerSVGElement.getBoundingClientRect().width;
    text.style.visibility = text.getComputedTextLength() + 8 <= room ? '' : 'hidden';
  }
}

// A click on a box of the flame graph makes it as wide as the graph; another one on it shows all again.
function flameZoom() {
  for (const graph of document.querySelectorAll('[data-flame]')) {
    const boxes = [...graph.querySelectorAll('.box')].map((box) => ({
      box, left: parseFloat(box.getAttribute('x')), width: parseFloat(box.getAttribute('width')),
    }));
    let shown = null;
    const show = (chosen) => {
      shown = chosen === shown ? null : chosen;
      const { left, width } = shown || { left: 0, width: 100 };
      for (const each of boxes) {
        const from = Math.max(0, ((each.left - left) / width) * 100);
        const to = Math.min(100, ((each.left + each.width - left) / width) * 100);
        each.box.style.display = to - from > 0.02 ? '' : 'none';
        each.box.setAttribute('x', `${from}%`);
        each.box.setAttribute('width', `${Math.max(to - from, 0)}%`);
      }
      fitLabels(graph);
    };
    graph.addEventListener('click', (event) => {
      const box = event.target.closest('.box');
      const found = boxes.find((each) => each.box === box);
      if (found) show(found);
    });
  }
}
