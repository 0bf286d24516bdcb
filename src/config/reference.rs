//! The reference of all settings, made from the fields themselves; `docs/configuration.md` holds it.

use super::{
    file::File,
    read::{Field, Value},
};

/// The reference in Markdown: one table for each table of the file.
pub fn reference() -> String {
    let mut out = String::new();
    section("", "", File::INNER, &mut out);
    out
}

fn section(title: &str, intro: &str, fields: &[Field], out: &mut String) {
    if !title.is_empty() {
        out.push_str(&format!("\n### `{title}`\n\n{intro}\n\n"));
    }
    out.push_str("| setting | value | default | what it does |\n|---|---|---|---|\n");
    for field in fields.iter().filter(|field| field.inner.is_empty()) {
        let default = match field.default.map(|write| write()) {
            None => "must be given".to_owned(),
            Some(text) if text.is_empty() => "none".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let doc = document(field);
        out.push_str(&format!(
            "| `{}` | {} | {default} | {doc} |\n",
            field.name,
            (field.wanted)()
        ));
    }
    for field in fields.iter().filter(|field| !field.inner.is_empty()) {
        let brackets = if field.list { ("[[", "]]") } else { ("[", "]") };
        let title = format!("{}{}{}", brackets.0, field.name, brackets.1);
        section(&title, &document(field), field.inner, out);
    }
}

fn document(field: &Field) -> String {
    field
        .doc
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/configuration.md` carries the reference between two marks. To bring it up to date:
    /// `UPDATE_DOCS=1 cargo test --lib reference`.
    #[test]
    fn the_page_says_what_the_fields_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (start, end) = ("<!-- reference -->\n", "<!-- end of reference -->");
        let (head, rest) = page.split_once(start).expect("the first mark");
        let (table, tail) = rest.split_once(end).expect("the second mark");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{head}{start}{}{end}{tail}", reference())).unwrap();
            return;
        }
        assert!(
            table == reference(),
            "run: UPDATE_DOCS=1 cargo test --lib reference"
        );
    }
}
