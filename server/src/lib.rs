//! The server: log, leader loops, HTTP API.
