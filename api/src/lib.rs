//! The typed HTTP client of the API, used by the command line, the node agent and tests.
