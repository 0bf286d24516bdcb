//! Tables that stand in `docs/safety.md` and are made by tests.

/// Compares a table with the one that stands in the page between these two marks, a line each.
///
/// With `COUNTERSIGN_GOLDEN=write` in the environment it is written there instead.
pub(crate) fn compare(table: &str, begin: &str, end: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/safety.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page
        .split_once(begin)
        .expect("the page has a place for the table");
    let (known, tail) = rest.split_once(end).expect("the table ends somewhere");
    if std::env::var("COUNTERSIGN_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
        return;
    }
    for (line, (found, known)) in table.lines().zip(known.lines()).enumerate() {
        assert_eq!(found, known, "line {line} of the table in docs/safety.md");
    }
    assert_eq!(table.lines().count(), known.lines().count());
}
