//! A Rust file as tokens: comments are gone, what stands in a string is no code, and each token knows its line.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::tree;

pub(crate) struct Source {
    /// Named from the root.
    pub(crate) name: String,
    tokens: Vec<Token>,
}

struct Token {
    text: String,
    line: usize,
}

/// A path as the code spells it, a tree of `use` taken apart: `["crate", "kv", "Txn"]`.
pub(crate) struct CodePath {
    pub(crate) parts: Vec<String>,
    pub(crate) line: usize,
}

impl Source {
    pub(crate) fn read(name: &str) -> Self {
        Self::parse(name, &tree::read(name))
    }

    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Self { name: name.to_owned(), tokens }
    }

    /// All Rust files below the folders.
    pub(crate) fn all(folders: &[&str]) -> Vec<Self> {
        let names = folders.iter().flat_map(|f| tree::files(f, &[".rs"]));
        names.map(|name| Self::read(&name)).collect()
    }

    /// `file:line: what`.
    pub(crate) fn breach(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.name)
    }

    /// The lines in which these tokens follow one another.
    pub(crate) fn lines_with(&self, texts: &[&str]) -> Vec<usize> {
        let windows = self.tokens.windows(texts.len());
        windows
            .filter(|window| window.iter().map(|token| token.text.as_str()).eq(texts.iter().copied()))
            .map(|window| window[0].line)
            .collect()
    }

    /// The tokens that come right after each `first`, with their lines.
    pub(crate) fn after(&self, first: &str) -> Vec<(&str, usize)> {
        let pairs = self.tokens.windows(2);
        pairs.filter(|pair| pair[0].text == first).map(|pair| (pair[1].text.as_str(), pair[1].line)).collect()
    }

    /// Every path, in `use` and elsewhere.
    pub(crate) fn paths(&self) -> Vec<CodePath> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.path(at, &[], &mut paths).max(at + 1);
        }
        paths
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Reads the path (or tree of paths) that starts at a token; returns where it ends.
    fn path(&self, mut at: usize, before: &[String], paths: &mut Vec<CodePath>) -> usize {
        let line = self.tokens[at].line;
        let mut parts = before.to_vec();
        loop {
            if self.text(at) == "{" && !parts.is_empty() {
                return self.branches(at + 1, &parts, paths);
            }
            if !is_name(self.text(at)) {
                break;
            }
            parts.push(self.text(at).to_owned());
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
        }
        // A macro stands at the crate's root, whichever module it is for.
        if parts.len() > before.len() && self.text(at) != "!" {
            paths.push(CodePath { parts, line });
        }
        at
    }

    fn branches(&self, mut at: usize, before: &[String], paths: &mut Vec<CodePath>) -> usize {
        while at < self.tokens.len() && self.text(at) != "}" {
            at = self.path(at, before, paths).max(at + 1);
            while !matches!(self.text(at), "," | "}" | "") {
                at += 1;
            }
            if self.text(at) == "," {
                at += 1;
            }
        }
        at + 1
    }
}

fn is_name(text: &str) -> bool {
    text == "*" || text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut colon = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, line| tokens.push(Token { text, line });
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), line);
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && colon => {
                tokens.last_mut().unwrap().text = "::".to_owned();
                colon = false;
                continue;
            }
            TokenTree::Punct(punct) => {
                push(punct.as_char().to_string(), line);
                colon = punct.as_char() == ':' && punct.spacing() == proc_macro2::Spacing::Joint;
                continue;
            }
            TokenTree::Ident(ident) => push(ident.to_string(), line),
            // No string can pass for code.
            TokenTree::Literal(literal) => push(format!("\"{literal}"), line),
        }
        colon = false;
    }
}

#[test]
fn paths_are_found_in_trees_of_use_and_in_code() {
    let source = Source::parse(
        "x.rs",
        "use crate::{kv::{Key, Txn as T}, error::*};\n// crate::comment\nfn f() { crate::store::open(\"crate::text\") }",
    );
    let paths = source.paths();
    let found: Vec<(String, usize)> = paths.iter().map(|p| (p.parts.join("::"), p.line)).collect();
    for expected in [("crate::kv::Key", 1), ("crate::kv::Txn", 1), ("crate::error::*", 1), ("crate::store::open", 3)] {
        assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {found:?}");
    }
    assert!(found.iter().all(|(p, _)| !p.contains("comment") && !p.contains("text")));
}
