//! The rules of ARCHITECTURE.md that no compiler holds: which crate may depend on what, which way
//! imports run, and how long a file may be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 3] = ["src/domain", "src/clients", "src/responder"];

/// Everything that `domain` may reach, directly or not: data, text, hashes. What is new here must do no
/// IO, read no clock and start no thread.
const PURE: &[&str] = &[
    "aws-smithy-types",
    "base64-simd",
    "block-buffer",
    "bytes",
    "bytes-utils",
    "cfg-if",
    "const-oid",
    "cpufeatures",
    "crypto-common",
    "deranged",
    "digest",
    "domain",
    "either",
    "hex",
    "http",
    "hybrid-array",
    "itoa",
    "libc",
    "memchr",
    "num-conv",
    "num-integer",
    "num-traits",
    "outref",
    "percent-encoding",
    "pin-project-lite",
    "powerfmt",
    "ryu",
    "serde",
    "serde_core",
    "serde_json",
    "sha2",
    "thiserror",
    "time",
    "time-core",
    "typenum",
    "uuid",
    "vsimd",
    "zmij",
];

/// The packages that a package reaches in a build, its macros and build scripts apart.
fn reached(package: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--locked", "-p", package, "--edges", "normal,no-proc-macro", "--target", "all"];
    let tree = Command::new(env!("CARGO")).args(arguments).args(["--prefix", "none"]).current_dir(root()).output();
    let tree = tree.unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    text.lines().filter_map(|it| it.split_whitespace().next()).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_decides_reaches_no_sdk_no_runtime_and_no_log() {
    let impure: Vec<_> = reached("domain").into_iter().filter(|it| !PURE.contains(&it.as_str())).collect();
    assert_eq!(impure, Vec::<String>::new(), "add it to PURE only if it does no IO and reads no clock");
}

#[test]
fn only_what_talks_has_the_sdks() {
    for (folder, may) in [("src/domain", false), ("src/clients", true), (".", false)] {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        // The workspace names the versions, which is no dependency.
        let own = manifest.split("[workspace.dependencies]").next().unwrap().to_owned()
            + manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
        let has = own.lines().any(|it| it.starts_with("aws-sdk-") || it.starts_with("aws-config"));
        assert_eq!(has, may, "{folder}");
    }
}

/// A module of a crate by its path, such as `containment::guard`; the crate's root is the empty one.
type Modules = BTreeMap<String, PathBuf>;

fn modules(folder: &Path) -> Modules {
    fn walk(folder: &Path, at: &str, found: &mut Modules) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let module = if at.is_empty() { name.clone() } else { format!("{at}::{name}") };
            if path.is_dir() {
                walk(&path, &module, found);
            } else if path.extension().is_some_and(|it| it == "rs") && name != "main" {
                found.insert(if name == "lib" { String::new() } else { module }, path);
            }
        }
    }
    let mut found = Modules::new();
    walk(folder, "", &mut found);
    found
}

/// Without its unit tests and comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = code.split("#[cfg(test)]\npub(crate) mod tests").next().unwrap();
    code.lines().filter(|it| !it.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let inner = &rest[..rest.rfind('}').unwrap_or(rest.len())];
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for c in inner.chars() {
        match c {
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                part.push(c);
            }
        }
    }
    parts.push(part);
    let parts = parts.iter().filter(|it| !it.trim().is_empty());
    parts.flat_map(|it| expand(it)).map(|it| format!("{}{it}", prefix.trim())).collect()
}

/// The modules of its own crate that a file imports, its own ancestors and descendants apart: a module
/// and its children are one thing.
fn imports(module: &str, path: &Path, modules: &Modules) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code = code(path);
    for statement in code.split(';').filter_map(|it| it.split_once("use ")).map(|(_, it)| it) {
        for import in expand(statement) {
            let mut base: Vec<&str> = module.split("::").filter(|it| !it.is_empty()).collect();
            let mut parts = import.split("::").map(str::trim).peekable();
            match parts.peek() {
                Some(&"crate") => base.clear(),
                Some(&"super" | &"self") => {}
                _ => continue,
            }
            for part in parts {
                match part {
                    "crate" | "self" => {}
                    "super" => drop(base.pop()),
                    name => base.push(name),
                }
            }
            while !base.is_empty() && !modules.contains_key(&base.join("::")) {
                base.pop();
            }
            let target = base.join("::");
            let is_family = |a: &str, b: &str| a == b || a.is_empty() || b.starts_with(&format!("{a}::"));
            if !is_family(&target, module) && !is_family(module, &target) {
                found.insert(target);
            }
        }
    }
    found
}

fn graph(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules(&root().join(folder));
    modules.iter().map(|(module, path)| (module.clone(), imports(module, path, &modules))).collect()
}

/// A way from a node back to itself.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(at: &str, way: &mut Vec<String>, graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|it| it == at) {
            return Some(way[start..].to_vec());
        }
        way.push(at.to_owned());
        let found = graph.get(at).into_iter().flatten().find_map(|next| walk(next, way, graph));
        way.pop();
        found
    }
    graph.keys().find_map(|it| walk(it, &mut Vec::new(), graph))
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in CRATES {
        let graph = graph(folder);
        assert!(graph.values().any(|it| !it.is_empty()), "{folder}: no import was found");
        assert_eq!(circle(&graph), None, "{folder}");
    }
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    for folder in CRATES {
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, imported) in graph(folder) {
            let others = imported.iter().map(|it| top(it)).filter(|it| *it != top(&module));
            folders.entry(top(&module)).or_default().extend(others);
        }
        assert_eq!(circle(&folders), None, "{folder}");
    }
}

#[test]
fn the_folders_of_domain_know_nothing_of_each_other_but_the_settings() {
    let is_folder = |module: &str| root().join("src/domain").join(module).is_dir();
    for (module, imported) in graph("src/domain") {
        let own = module.split("::").next().unwrap();
        for other in imported {
            let folder = other.split("::").next().unwrap().to_owned();
            // Settings are read by every folder and read none.
            let is_allowed = folder == own || !is_folder(&folder) || (folder == "settings" && own != "settings");
            assert!(is_allowed || !is_folder(own) && own != "settings", "`{module}` imports `{other}`");
        }
    }
}

#[test]
fn no_file_is_too_long_to_read_at_once() {
    for folder in CRATES {
        for path in modules(&root().join(folder)).into_values() {
            let lines = code(&path).lines().filter(|it| !it.trim().is_empty()).count();
            assert!(lines <= 350, "{} has {lines} lines of code", path.display());
        }
    }
}
