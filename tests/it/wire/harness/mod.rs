//! What the tests over real connections share: the connections, the clients, the handlers, and what is checked.
//!
//! | module | |
//! |---|---|
//! | `check` | How a row is checked. |
//! | `clock` | The two clocks that the tests run by. |
//! | `frames` | The client's end of an HTTP/2 connection in memory. It records each frame of a response. |
//! | `gate` | A task that ends when the test opens a gate. |
//! | `leaving` | The ways in which a client leaves, and the connection that it leaves. |
//! | `pipe` | The client's end of an HTTP/1 connection in memory. It reads until nothing more can come. |
//! | `raw_http2` | An HTTP/2 client that writes its frames by hand, so that it can leave in every possible way. |
//! | `reach` | Brings a request to the stage at which its client leaves. |
//! | `row` | A row of the table: how a handler answers, and what a client receives. |
//! | `scene` | A request whose client leaves, and the stage that the request has reached by then. |
//! | `script` | A response body that follows a script. |
//! | `serve` | The server's end of a connection: hyper with its defaults, but without the `date` header. |
//! | `setup` | One request through a stack of layers. Its handler sends a text and spawns a task that outlives it. |
//! | `socket` | One exchange over TCP. |
//! | `tap` | A connection that records every byte that passes through it. |
//! | `verdicts` | What is reported of a request whose client has left, and of its tasks. |

mod check;
pub(crate) mod clock;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod leaving;
pub(crate) mod pipe;
pub(crate) mod raw_http2;
pub(crate) mod reach;
pub(crate) mod row;
pub(crate) mod scene;
pub(crate) mod script;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod socket;
mod tap;
pub(crate) mod verdicts;
