// The exchanges that every client makes, with Node.js: http_client.mjs fetch|http2 BASE AUTHORITY
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';

const [library, base, authority] = process.argv.slice(2);
const ca = readFileSync(authority);

function withHttp() {
  const { request, Agent } = base.startsWith('https:') ? https : http;
  const agent = new Agent({ keepAlive: true, ca });
  return (path, body) => new Promise((resolve, reject) => {
    const asked = request(base + path, { agent, method: body ? 'POST' : 'GET' }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve([answer.statusCode, Buffer.concat(parts)]));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

function withHttp2() {
  const session = http2.connect(base, { ca });
  return (path, body) => new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path, ':method': body ? 'POST' : 'GET' });
    const parts = [];
    let status;
    stream.on('response', (fields) => { status = fields[':status']; });
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => resolve([status, Buffer.concat(parts)]));
    stream.on('error', reject);
    stream.end(body);
  });
}

const ask = library === 'http2' ? withHttp2() : withHttp();
const steps = {
  '100,000 bytes': async () => (await ask('/bytes/100000'))[1].length === 100000,
  '50 chunks': async () => (await ask('/chunks/50'))[1].length === 50000,
  '204': async () => (await ask('/status/204'))[0] === 204,
  '404': async () => (await ask('/status/404'))[0] === 404,
  '300,000 bytes sent': async () =>
    (await ask('/echo', Buffer.alloc(300000)))[1].includes('"bodyBytes":300000'),
  '50 at once': async () =>
    (await Promise.all([...Array(50)].map(() => ask('/bytes/10')))).every((a) => a[1].length === 10),
};
for (const [name, step] of Object.entries(steps)) {
  const why = await step().then((good) => (good ? '' : 'wrong answer'), (error) => String(error));
  if (why) {
    console.log(`bad: ${name}: ${why}`);
    process.exit(1);
  }
}
console.log('ok');
process.exit(0);
