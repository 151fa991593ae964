// An HTTP function as Google's framework serves it. Its background work takes 10 ms.
'use strict';

const { appendFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const functions = require('@google-cloud/functions-framework');
const { getTestServer } = require('@google-cloud/functions-framework/testing');

const { PORT, MODE, ORDERS } = process.env;

async function work(id) {
  await sleep(10);
  if (ORDERS) appendFileSync(ORDERS, `${id}\n`);
}

const handlers = {
  // Google's rule: respond when all background tasks are complete.
  async awaited(req, res) {
    await work(idOf(req));
    thank(res);
  },
  // What the rule forbids.
  after(req, res) {
    work(idOf(req)).catch(console.error);
    thank(res);
  },
};

function idOf(req) {
  return req.path.slice('/orders/'.length);
}

function thank(res) {
  res.type('text/plain').send('thank you\n');
}

if (!Object.hasOwn(handlers, MODE)) throw new Error(`MODE is ${MODE}: awaited or after`);
functions.http('orders', handlers[MODE]);
// The server that the framework's command starts. The command would listen on every interface.
getTestServer('orders').listen(Number(PORT), '127.0.0.1').setTimeout(0);
