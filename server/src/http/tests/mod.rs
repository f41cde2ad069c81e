//! The API over a real listener, a real log and a real client.
