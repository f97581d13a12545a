//! The rules of ARCHITECTURE.md that no compiler holds: which crate may depend on what, which way
//! imports run, and how long a file may be.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every crate of ours is a folder of `src/`.
fn crates() -> Vec<String> {
    let folders = std::fs::read_dir(root().join("src")).unwrap().map(|it| it.unwrap().path());
    let mut crates: Vec<_> = folders.map(|it| format!("src/{}", it.file_name().unwrap().to_str().unwrap())).collect();
    crates.sort();
    assert!(crates.len() >= 4 && crates.iter().all(|it| root().join(it).join("lib.rs").exists()), "{crates:?}");
    crates
}

/// What decides, and what faces the internet and only says what to do.
const PURE_CRATES: [&str; 2] = ["domain", "front"];

/// What these may use of the standard library: no clock, environment, file, network, process, thread.
const PURE_STD: &[&str] =
    &["borrow", "cmp", "collections", "fmt", "iter", "mem", "ops", "str", "string", "sync", "time"];

/// An address that was told is a value. What else the module has talks to it.
const PURE_NET: [&str; 1] = ["std::net::IpAddr"];

/// How the rules of this file, or of clippy.toml, could be walked around.
const FORBIDDEN: &[&str] = &[
    "disallowed_methods",
    "extern crate",
    "include!",
    "include_bytes!",
    "#[path",
    "crate::*",
    "super::super::*",
    "now()",
    "elapsed()",
    "println!",
    "dbg!",
];

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
    "csv",
    "csv-core",
    "deranged",
    "digest",
    "domain",
    "either",
    "hex",
    "http",
    "hybrid-array",
    "itoa",
    "libc",
    "maud",
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

/// What `front` may reach besides: HTML, hashes, and the types of a Function URL's request and response.
const PURE_FRONT: &[&str] = &[
    "argon2",
    "aws_lambda_events",
    "base64",
    "base64ct",
    "blake2",
    "cmov",
    "ctutils",
    "front",
    "hmac",
    "http-body",
    "http-serde",
    "serde_with",
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
fn what_faces_the_internet_reaches_no_sdk_no_runtime_and_no_log() {
    let reached = reached("front");
    assert!(reached.contains("domain") && !reached.contains("clients"), "{reached:?}");
    let is_pure = |it: &String| PURE.contains(&it.as_str()) || PURE_FRONT.contains(&it.as_str());
    let impure: Vec<_> = reached.into_iter().filter(|it| !is_pure(it)).collect();
    assert_eq!(impure, Vec::<String>::new(), "add it to PURE_FRONT only if it does no IO and reads no clock");
}

#[test]
fn what_is_pure_uses_nothing_of_the_standard_library_that_is_not() {
    for (module, path) in PURE_CRATES.iter().flat_map(|it| modules(&root().join("src").join(it))) {
        // Tests of a decision may do what they like; what ships may not.
        let code = code(&path);
        for (_, rest) in code.match_indices("std::").map(|(at, _)| code.split_at(at)) {
            let part = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next().unwrap();
            let name = part.split("::").nth(1).unwrap_or_default();
            assert!(PURE_STD.contains(&name) || PURE_NET.contains(&part), "`{module}` uses `{part}`");
        }
        assert!(!code.contains("UNIX_EPOCH") && !code.contains("SystemTime"), "`{module}` uses the clock's types");
        let found: Vec<_> = FORBIDDEN.iter().filter(|it| code.contains(**it)).collect();
        assert!(found.is_empty(), "`{module}` has {found:?}");
    }
}

#[test]
fn only_what_talks_has_the_sdks() {
    let arguments = ["metadata", "--locked", "--no-deps", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        // By the name of the package, whatever a manifest calls it.
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let names = dependencies.map(|it| it["name"].as_str().unwrap());
        let has = names.into_iter().any(|it| it.starts_with("aws-sdk-") || it == "aws-config");
        assert_eq!(has, package["name"] == "clients", "{}", package["name"]);
    }
}

/// What observes has no way to a client that writes: the raw one is private to the file that lists what each
/// type may do.
#[test]
fn only_one_file_holds_the_raw_client_of_iam() {
    for (module, path) in modules(&root().join("src/clients")) {
        let holds = code(&path).contains("aws_sdk_iam::Client");
        assert_eq!(holds, module == "iam::client", "`{module}`");
        let writes = code(&path).contains("&IamWrite");
        assert_eq!(writes, module == "iam::apply", "`{module}`");
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
            } else if path.extension().is_some_and(|it| it == "rs") {
                assert!(at.is_empty() || !matches!(name.as_str(), "lib" | "main"), "{}", path.display());
                found.insert(if name == "lib" { String::new() } else { module }, path);
            }
        }
    }
    let mut found = Modules::new();
    walk(folder, "", &mut found);
    found
}

/// Without its unit tests, which come last, and without comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let tests = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
    let code = match tests.iter().find_map(|it| text.split_once(it)) {
        Some((code, tests)) => {
            let after = tests.split_once("\n}\n").unwrap().1;
            assert!(after.trim().is_empty(), "{}: the tests come last", path.display());
            code
        }
        None => &text,
    };
    let without = code.lines().filter(|it| !it.trim_start().starts_with("//"));
    without.map(|it| it.split(" // ").next().unwrap()).collect::<Vec<_>>().join("\n")
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
    for path in paths(&code) {
        let mut base: Vec<&str> = module.split("::").filter(|it| !it.is_empty()).collect();
        if path.starts_with("crate") {
            base.clear();
        }
        for part in path.split("::") {
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
    found
}

/// Every path that begins with `crate`, `super` or `self`, in imports and in the middle of the code.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let is_part = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_part {
                continue;
            }
            let rest = &code[at..];
            // Up to the end of the path, with what stands in its braces.
            let (mut depth, mut end) = (0, rest.len());
            for (n, c) in rest.char_indices() {
                match c {
                    '{' if depth > 0 || rest[..n].ends_with("::") => depth += 1,
                    '}' if depth > 0 => {
                        depth -= 1;
                        if depth == 0 {
                            end = n + 1;
                            break;
                        }
                    }
                    c if depth > 0 || c.is_alphanumeric() || c == '_' || c == ':' => {}
                    _ => {
                        end = n;
                        break;
                    }
                }
            }
            let tree = rest[..end].trim_end_matches(':');
            found.extend(expand(tree).into_iter().map(|it| it.split(" as ").next().unwrap().trim().to_owned()));
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
    for folder in crates() {
        let graph = graph(&folder);
        assert!(graph.values().any(|it| !it.is_empty()), "{folder}: no import was found");
        assert_eq!(circle(&graph), None, "{folder}");
    }
}

#[test]
fn no_folders_import_each_other_in_a_circle() {
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    for folder in crates() {
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, imported) in graph(&folder) {
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
            // Settings are read by every folder and read none. What stands at the root imports no folder,
            // or folders would meet there.
            let is_allowed = folder == own || !is_folder(&folder) || (folder == "settings" && is_folder(own));
            assert!(is_allowed, "`{module}` imports `{other}`");
        }
    }
    let lib = std::fs::read_to_string(root().join("src/domain/lib.rs")).unwrap();
    assert!(!lib.contains("use "), "the root of `domain` re-exports nothing");
}

/// Identifiers and text, the one secret type, what people decide and how far that has come: what contains or
/// restores is none of its business.
#[test]
fn what_faces_the_internet_knows_only_the_vocabulary_of_what_decides() {
    for (module, path) in modules(&root().join("src/front")) {
        let code = code(&path);
        for (at, _) in code.match_indices("domain::") {
            let path = code[at..].split([';', '(', '\n']).next().unwrap();
            let is_known = [
                "domain::ids::",
                "domain::text",
                "domain::settings::Secret",
                "domain::decision::",
                "domain::approval::request as asked",
                "domain::approval::standing::",
                "domain::verdict::",
            ];
            assert!(is_known.iter().any(|it| path.starts_with(it)), "`{module}` uses `{path}`");
        }
    }
}

/// The parser above must see what Rust sees.
#[test]
fn an_import_is_seen_however_it_is_written() {
    let seen = |code: &str| paths(code);
    assert_eq!(seen("use crate::a::{b, c::{d, e as f}};"), ["crate::a::b", "crate::a::c::d", "crate::a::c::e"]);
    assert_eq!(seen("pub use super::x;"), ["super::x"]);
    assert_eq!(seen("fn f() { crate::a::b::c(1) }"), ["crate::a::b::c"]);
    assert_eq!(seen("use crate::restoration as r;"), ["crate::restoration"]);
    assert_eq!(seen("use other_crate::a; let mycrate::x = 1;"), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long_to_read_at_once() {
    for folder in crates() {
        for path in modules(&root().join(folder)).into_values() {
            let lines = code(&path).lines().filter(|it| !it.trim().is_empty()).count();
            assert!(lines <= 350, "{} has {lines} lines of code", path.display());
        }
    }
}
