//! Names to healthy instances to DNS answers, and the DNS listener.
