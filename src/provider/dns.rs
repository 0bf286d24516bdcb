//! Any server: seen by queries only. What is ours is printed for a person to paste.
