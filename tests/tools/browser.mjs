// Opens a page in a real browser, without any network.
//
//   browser.mjs unpack                              unpacks the browser, once
//   browser.mjs look FILE                           prints what it saw, as JSON
//   browser.mjs picture FILE SELECTOR WIDTH HEIGHT light|dark OUT
//                                                   takes a picture of a part of it, no higher than that
//
// The browser comes with the tools and runs on x86_64. CHROMIUM names another one elsewhere.
import { createRequire } from 'node:module';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const tools = join(dirname(fileURLToPath(import.meta.url)), '../../.tools');
const require = createRequire(join(tools, 'npm/'));
const unpacked = join(tools, 'chromium');
// Where the package unpacks to, and finds again what it unpacked.
process.env.TMPDIR = unpacked;

// The package's own configuration looks for its fonts in a folder of the machine's, where they are not; a page on
// which no letter can be drawn has no text.
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir></fontconfig>
`;

async function unpack() {
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  const { default: chromium, inflate } = require('@sparticuz/chromium');
  await chromium.executablePath();
  writeFileSync(join(unpacked, 'fonts/fonts.conf'), FONTS);
  // Libraries that a bare machine lacks.
  await inflate(join(dirname(require.resolve('@sparticuz/chromium')), '../bin/al2023.tar.br'));
}

async function browser() {
  const { default: puppeteer } = require('puppeteer-core');
  const options = { headless: 'shell', args: ['--no-sandbox', '--disable-dev-shm-usage'] };
  if (process.env.CHROMIUM) {
    return puppeteer.launch({ ...options, executablePath: process.env.CHROMIUM });
  }
  const { default: chromium, setupLambdaEnvironment } = require('@sparticuz/chromium');
  setupLambdaEnvironment(join(unpacked, 'al2023/lib'));
  chromium.setGraphicsMode = false;
  return puppeteer.launch({
    ...options, executablePath: await chromium.executablePath(), args: chromium.args,
  });
}

async function open(file, width, scheme, then) {
  const running = await browser();
  try {
    const page = await running.newPage();
    const complaints = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) complaints.push(`it asked for ${request.url()}`);
    });
    await page.setViewport({ width, height: 900, deviceScaleFactor: 1 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(pathToFileURL(resolve(file)).href);
    return await then(page, complaints);
  } finally {
    await running.close();
  }
}

// Every chart's series as [share of the time axis, value], from the very path that is drawn.
function charts() {
  return Object.fromEntries([...document.querySelectorAll('figure')].map((figure) => {
    const svg = figure.querySelector('svg');
    const { width, height } = svg.viewBox.baseVal;
    const [bottom, top] = [Number(svg.dataset.bottom), Number(svg.dataset.top)];
    const value = (y) => svg.dataset.log === 'true'
      ? bottom * (top / bottom) ** (1 - y / height)
      : bottom + (top - bottom) * (1 - y / height);
    const points = (path) => [...path.getAttribute('d').matchAll(/[ML]([\d.]+) ([\d.]+)/g)]
      .map(([, x, y]) => [Number(x) / width, value(Number(y))]);
    const box = svg.getBoundingClientRect();
    const series = [...figure.querySelectorAll('[data-series]')].map((path) => {
      const drawn = path.getBoundingClientRect();
      return {
        name: path.dataset.series,
        points: points(path),
        inside: drawn.left >= box.left - 2 && drawn.right <= box.right + 2
          && drawn.top >= box.top - 2 && drawn.bottom <= box.bottom + 2,
      };
    });
    return [figure.id, { width: box.width, height: box.height, series }];
  }));
}

async function look(file) {
  const seen = { complaints: [], violations: [], overflows: [] };
  for (const [width, scheme] of [[1280, 'light'], [1280, 'dark'], [390, 'light'], [390, 'dark']]) {
    await open(file, width, scheme, async (page, complaints) => {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) seen.overflows.push(`${wide} of ${width}`);
      if (width === 1280 && scheme === 'light') {
        seen.charts = await page.evaluate(charts);
        seen.text = await page.evaluate(() => document.body.innerText);
        const tree = await page.accessibility.snapshot({ interestingOnly: false });
        const flat = (node) => [node, ...(node.children ?? []).flatMap(flat)];
        seen.images = flat(tree).filter(({ role }) => role === 'image' || role === 'img')
          .map(({ name, description }) => ({ name, description }));
      }
      // The page itself forbids scripts; the audit comes in past that.
      await page.evaluate(() => document.querySelector('meta[http-equiv]').remove());
      await page.evaluate(require('axe-core').source);
      const { violations } = await page.evaluate(() => window.axe.run());
      for (const { id, nodes } of violations) {
        seen.violations.push(`${width} ${scheme} ${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
      }
      seen.complaints.push(...complaints);
    });
  }
  return seen;
}

const [what, file, ...more] = process.argv.slice(2);
if (what === 'unpack') {
  await unpack();
} else if (what === 'look') {
  console.log(JSON.stringify(await look(file)));
} else if (what === 'picture') {
  const [selector, width, height, scheme, out] = more;
  await open(file, Number(width), scheme, async (page) => {
    const clip = await page.$eval(selector, (element, height) => {
      const box = element.getBoundingClientRect();
      const [x, y] = [Math.max(0, box.x - 16), Math.max(0, box.y - 16)];
      return { x, y, width: box.right + 16 - x, height: Math.min(height, box.bottom - y) };
    }, Number(height));
    await page.screenshot({ path: out, clip, captureBeyondViewport: true });
  });
} else {
  console.error('browser.mjs unpack | look FILE | picture FILE SELECTOR WIDTH HEIGHT light|dark OUT');
  process.exit(2);
}
