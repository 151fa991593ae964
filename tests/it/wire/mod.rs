//! What a client receives, and when: each row of the table of what is held, over real connections.
//!
//! A [`Row`](harness::row::Row) states how a handler answers, which bytes or frames reach the client while a task of
//! the request is alive, and which come after it has ended. The task ends when the test opens its
//! [`Gate`](harness::gate::Gate).
//!
//! Other modules test what becomes of a request whose client leaves: a [`Scene`](harness::scene::Scene) brings the
//! request to a [`Stage`](harness::scene::Stage), and a [`Way`](harness::leaving::Way) states how the client leaves
//! there.
//!
//! | module | |
//! |---|---|
//! | `bodies` | The layer around bodies of types that are hard to wrap. |
//! | `completion` | Handlers that run to their end although their client leaves before it. |
//! | `disconnects` | Clients that leave: what a server notices of it, and what is reported. |
//! | `finished_bodies` | A task that waits for the drop of the body does not wait for the response, over both protocols. |
//! | `harness` | What the tests over real connections share: the connections, the clients, the handlers, and what is checked. |
//! | `http1` | HTTP/1: what a client receives before the task ends, and after it. |
//! | `http2` | HTTP/2: what a client receives before the task ends, and after it. |
//! | `never` | `Hold::Never`: nothing waits, and the request is reported when its task has ended. |
//! | `producers` | Responses whose body is fed by a task of their own request. Whether or not the body is polled, nothing stalls. |
//! | `slow_reader` | A client that reads one byte at a time, from a response that is larger than the buffers on the way. |
//! | `stacks` | The layer among others: the stack compiles, and the layer holds the response of what it wraps. |
//! | `upgrades` | Exchanges that go on as an upgraded stream: nothing is held, and nothing hangs. |

mod bodies;
mod completion;
mod disconnects;
mod finished_bodies;
mod harness;
mod http1;
mod http2;
mod never;
mod producers;
mod slow_reader;
mod stacks;
mod upgrades;
