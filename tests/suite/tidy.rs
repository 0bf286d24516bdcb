//! What no compiler holds: layers import one way, every module says what it is, nothing is left half done, and
//! the page about the architecture speaks of the tree as it is. Each check has a planted example.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::harness::process::repository;

/// The layers in import order: a module imports only from those before it.
const LAYERS: [&str; 15] = [
    "clock",
    "disk",
    "wire",
    "zone",
    "dnssec",
    "answer",
    "serve",
    "client",
    "provider",
    "multisigner",
    "store",
    "config",
    "control",
    "lab",
    "commands",
];

/// Words of unfinished work, in two halves so that this file does not hold them.
const LEFTOVERS: [(&str, &str); 6] = [
    ("to", "do!("),
    ("unimplem", "ented!("),
    ("FIX", "ME"),
    ("TO", "DO"),
    ("XX", "X:"),
    ("db", "g!("),
];

/// Every Rust file below `folder`, with its path from there.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let root = repository(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path
                    .file_name()
                    .is_some_and(|name| name != "target" && name != "corpus")
                {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no Rust file");
    found
}

/// The code of a file without its comments, as far as whole lines go.
fn without_comments(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The layers that `code` names: `crate::zone::…`, and `use crate::{wire::Name, zone}`.
fn named_layers(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(identifier(rest)),
        }
    }
    found
}

/// The first identifiers of the parts of `a::b, c::{d, e}} …`, up to the brace that ends the group.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut part = 0;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.extend(identifier(group[part..at].trim_start()));
                part = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Imports from a layer that comes later than the file's own.
fn wrong_imports(path: &Path, text: &str) -> Vec<String> {
    let own = path
        .iter()
        .next()
        .unwrap()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs");
    let Some(place) = LAYERS.iter().position(|layer| *layer == own) else {
        return Vec::new(); // lib.rs and main.rs
    };
    named_layers(&without_comments(text))
        .into_iter()
        .filter(|named| {
            LAYERS
                .iter()
                .position(|layer| layer == named)
                .is_some_and(|other| other > place)
        })
        .map(|named| format!("{}: {own} must not import from {named}", path.display()))
        .collect()
}

fn leftovers(path: &Path, text: &str) -> Vec<String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| LEFTOVERS.iter().any(|(a, b)| line.contains(&format!("{a}{b}"))))
        .map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim()))
        .collect()
}

fn lacks_heading(path: &Path, text: &str) -> Option<String> {
    let first = text.lines().find(|line| !line.starts_with("#!["))?;
    (!first.starts_with("//! ")).then(|| format!("{}: does not open with //!", path.display()))
}

/// The modules that `lib.rs` declares.
fn declared(lib: &str) -> BTreeSet<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The first column of the layer table in `docs/ARCHITECTURE.md`.
fn documented(page: &str) -> Vec<String> {
    page.lines()
        .skip_while(|line| !line.starts_with("## Layers"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn imports_point_one_way() {
    none(
        &sources("src")
            .iter()
            .flat_map(|(path, text)| wrong_imports(path, text))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_module_says_what_it_is() {
    for folder in ["src", "tests", "benches"] {
        none(
            &sources(folder)
                .iter()
                .filter_map(|(path, text)| lacks_heading(path, text))
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn nothing_is_left_half_done() {
    for folder in ["src", "tests", "benches"] {
        none(
            &sources(folder)
                .iter()
                .flat_map(|(path, text)| leftovers(path, text))
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn the_architecture_page_lists_the_layers() {
    let declared = declared(&fs::read_to_string(repository("src/lib.rs")).unwrap());
    let unknown: Vec<_> = declared
        .iter()
        .filter(|name| !LAYERS.contains(&name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "lib.rs declares {unknown:?}, which have no place in the order"
    );
    let expected: Vec<_> = LAYERS.iter().filter(|layer| declared.contains(**layer)).collect();
    let page = fs::read_to_string(repository("docs/ARCHITECTURE.md")).unwrap();
    assert_eq!(
        documented(&page).iter().collect::<Vec<_>>(),
        expected,
        "docs/ARCHITECTURE.md"
    );
}

#[test]
fn planted_faults_are_found() {
    let path = Path::new("wire/name.rs");
    for code in [
        "use crate::zone::Zone;",
        "use crate::{clock::UnixTime, zone::{Entry, Place}};",
        "use crate::{\n    clock::UnixTime,\n    zone,\n};",
        "fn f() -> crate::commands::X { }",
    ] {
        assert_eq!(wrong_imports(path, code).len(), 1, "{code}");
    }
    for code in [
        "use crate::clock::Clock;",
        "// not crate::zone",
        "use crate::{clock, wire::{zone, X}};",
        "xcrate::zone",
    ] {
        none(&wrong_imports(path, code));
    }
    assert_eq!(
        leftovers(path, &format!("a\n  {}do!()", "to")),
        [format!("wire/name.rs:2: {}do!()", "to")]
    );
    assert!(lacks_heading(path, "use x;").is_some());
    assert!(lacks_heading(path, "//! A name.\nuse x;").is_none());
    assert_eq!(
        documented("## Layers\n| `a` | b |\n| `c` | d |\n## Else\n| `e` |"),
        ["a", "c"]
    );
    assert_eq!(
        declared("/// A\npub mod a;\nmod b;")
            .into_iter()
            .collect::<Vec<_>>(),
        ["a"]
    );
}
