//! What a client receives, and when: each row of the table of what is held, over real connections.
//!
//! A [`Row`](row::Row) states how a handler answers, which bytes or frames reach the client while a task of the request
//! is alive, and which come after it has ended. The task ends when the test opens its [`Gate`](gate::Gate).
//!
//! Other modules test what becomes of a request whose client leaves: a [`Scene`](scene::Scene) brings the request to a
//! [`Stage`](scene::Stage), and a [`Way`](leaving::Way) states how the client leaves there.

mod bodies;
mod check;
mod clock;
mod completion;
mod disconnects_goaway;
mod disconnects_http1;
mod disconnects_http2;
mod disconnects_unnoticed;
mod disconnects_uploads;
mod disconnects_whole;
mod finished_bodies;
mod frames;
mod gate;
mod half_closed;
mod http1_chunked;
mod http1_connections;
mod http1_ends;
mod http1_lengths;
mod http1_no_body;
mod http2_ends;
mod http2_lengths;
mod http2_no_body;
mod http2_streams;
mod leaving;
mod never;
mod pipe;
mod producers;
mod raw_http2;
mod reach;
mod row;
mod scene;
mod script;
mod serve;
mod setup;
mod slow_reader;
mod socket;
mod stacks;
mod tap;
mod upgrades;
mod verdicts;
