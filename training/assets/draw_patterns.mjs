// Writes the tiling background patterns as SVG, one JSON line each: {id, name, lic, svg}.
// usage: node draw_patterns.mjs OUT
import fs from 'fs';
import { createRequire } from 'module';

const out = fs.createWriteStream(process.argv[2]);
const patterns = createRequire(import.meta.url)('hero-patterns');
for (const [key, pattern] of Object.entries(patterns)) {
  if (typeof pattern !== 'function') continue;
  const uri = pattern('#000000', 1).replace(/^url\(['"]?/, '').replace(/['"]?\)$/, '');
  const comma = uri.indexOf(',');
  const body = uri.slice(comma + 1);
  const isBase64 = uri.slice(0, comma).includes('base64');
  const svg = isBase64 ? Buffer.from(body, 'base64').toString() : decodeURIComponent(body);
  const name = key.replace(/([A-Z])/g, ' $1').toLowerCase();
  out.write(JSON.stringify({ id: 'hero-patterns:' + key, name, lic: 'CC-BY-4.0', svg }) + '\n');
}
out.end();
