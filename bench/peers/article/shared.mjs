// What the three processes share: the database pool, the queue's connection, and one way to
// listen. Settings come from the environment that `start` prints (PGHOST, REDIS_SOCKET, …).
import IORedis from "ioredis";
import pg from "pg";

export const QUEUE = "openai-webhooks";

/**
 * `pg` in place of the article's unnamed ORM: less work a query, which favours this stack, as
 * does a pool that never closes a connection for being idle.
 */
export function database(connections) {
  return new pg.Pool({ max: connections, idleTimeoutMillis: 0 });
}

/** BullMQ asks for `maxRetriesPerRequest: null` on a worker's connection. */
export function redis() {
  return new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
}

export function listen(app, address) {
  const [host, port] = address.split(":");
  const server = app.listen(Number(port), host);
  server.keepAliveTimeout = 60_000;
  return server;
}
