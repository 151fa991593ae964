//! What a client sees, and when: each row of the table of what is held, over real connections.
//!
//! A [`Row`](row::Row) says how a handler answers, which bytes or frames reach the client while a
//! task of the request is alive, and which come once it has ended. The clock is a
//! [`Gate`](gate::Gate) that the test opens.

mod bodies;
mod check;
mod clock;
mod frames;
mod gate;
mod http1_chunked;
mod http1_connections;
mod http1_ends;
mod http1_lengths;
mod http1_no_body;
mod http2_ends;
mod http2_lengths;
mod http2_no_body;
mod http2_streams;
mod never;
mod pipe;
mod producers;
mod row;
mod script;
mod serve;
mod setup;
mod slow_reader;
mod socket;
mod stacks;
mod tap;
mod upgrades;
