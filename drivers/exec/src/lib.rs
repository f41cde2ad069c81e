//! Tasks as plain processes that outlive the agent.
