//! Messages: the question as it came, and the writer of responses.
