// Unpacks what the page holds: base64, deflated, byte plane by byte plane.

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackColumn(text, count) {
  const bytes = await inflate(text);
  const values = new Float64Array(count);
  const planes = count ? bytes.length / count : 0;
  for (let plane = 0, weight = 1; plane < planes; plane += 1, weight *= 256) {
    const first = plane * count;
    for (let place = 0; place < count; place += 1) values[place] += bytes[first + place] * weight;
  }
  return values;
}

async function unpackColumns(columns, count) {
  const names = Object.keys(columns);
  const values = await Promise.all(names.map((name) => unpackColumn(columns[name], count)));
  return Object.fromEntries(names.map((name, place) => [name, values[place]]));
}

async function unpackTexts(text) {
  return JSON.parse(new TextDecoder().decode(await inflate(text)));
}

// The spans and the path, with times in ns from the start of the job.
async function unpackTrace(data) {
  const spans = await unpackColumns(data.columns, data.count);
  let time = data.origin;
  for (let place = 0; place < data.count; place += 1) {
    time += spans.start[place];
    spans.start[place] = time;
  }
  const { count, ...columns } = data.path;
  return { ...data, spans, path: { count, ...(await unpackColumns(columns, count)) } };
}

const FLAGS = { error: 1, open: 2, path: 4, lost: 8 };
