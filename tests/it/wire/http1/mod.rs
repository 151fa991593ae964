//! HTTP/1: what a client receives before the task ends, and after it.
//!
//! | module | |
//! |---|---|
//! | `chunked` | HTTP/1: bodies of unknown length. |
//! | `connections` | HTTP/1 connections that close, that are shared by pipelined requests, or that the client leaves. |
//! | `ends` | HTTP/1: bodies that end in trailers, in an error, or short of their length. |
//! | `lengths` | HTTP/1: how the length of a response decides what is held. |
//! | `no_body` | HTTP/1: responses that end with their head. The head is held in every mode that holds. |

mod chunked;
mod connections;
mod ends;
mod lengths;
mod no_body;
