//! The parts of a Markdown page: headings, links, quoted code, words.

use std::collections::BTreeSet;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The comment before quoted code.
const QUOTED: &str = "<!-- quoted from ";

/// Code in these languages is a program, not a command or a diagram.
const PROGRAMS: [&str; 7] = ["rust", "python", "ts", "js", "kotlin", "java", "sql"];

/// Code of a page, and the file that it is quoted from.
#[derive(Debug)]
pub(super) struct Quote {
    pub(super) source: String,
    pub(super) code: String,
}

impl Quote {
    /// Whether the source has these lines one after the other, all with the same additional indent.
    pub(super) fn is_in(&self, source: &str) -> bool {
        let code: Vec<&str> = self.code.lines().collect();
        let source: Vec<&str> = source.lines().collect();
        source.windows(code.len()).any(|lines| {
            let indent =
                code.first().and_then(|first| lines[0].strip_suffix(first)).filter(|rest| rest.trim().is_empty());
            indent.is_some_and(|indent| {
                code.iter().zip(lines).all(|(code, line)| {
                    code.is_empty() && line.is_empty() || line.strip_prefix(indent).is_some_and(|line| line == *code)
                })
            })
        })
    }
}

/// A parsed page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The anchors of the page.
    pub(super) anchors: BTreeSet<String>,
    pub(super) links: Vec<String>,
    pub(super) quotes: Vec<Quote>,
    /// Programs without the name of their file.
    pub(super) loose_programs: Vec<String>,
    /// The words outside code blocks, tables and comments.
    pub(super) words: usize,
}

impl Page {
    pub(super) fn of(text: &str) -> Self {
        let mut reader = Reader::default();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            reader.take(event);
        }
        reader.page.words = reader.prose.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
        reader.page
    }
}

/// Reads a page event by event.
#[derive(Debug, Default)]
struct Reader {
    page: Page,
    prose: String,
    heading: String,
    /// The language and text of the code block that is open.
    code: Option<(String, String)>,
    /// The text of the comment before the next block.
    quoted: Option<String>,
    tables: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Html(text) | Event::InlineHtml(text) => {
                if let Some(source) = text.trim().strip_prefix(QUOTED) {
                    self.quoted = Some(source.trim_end_matches("-->").trim().to_owned());
                }
            }
            Event::Text(text) | Event::Code(text) => self.text(&text),
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::CodeBlock(kind) => {
                let language =
                    if let CodeBlockKind::Fenced(language) = kind { language.to_string() } else { String::new() };
                self.code = Some((language, String::new()));
            }
            Tag::Table(_) => self.tables += 1,
            Tag::Heading { .. } => self.heading.clear(),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.page.links.push(dest_url.to_string()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::Table => self.tables -= 1,
            TagEnd::Heading(_) => self.anchor(),
            _ => {}
        }
        // Inline tags do not end a word.
        if !matches!(tag, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link) {
            self.prose.push(' ');
        }
    }

    fn text(&mut self, text: &str) {
        if let Some((_, code)) = &mut self.code {
            code.push_str(text);
            return;
        }
        self.heading.push_str(text);
        if self.tables == 0 {
            self.prose.push_str(text);
        }
    }

    fn code_block(&mut self) {
        let Some((language, code)) = self.code.take() else { return };
        match self.quoted.take() {
            Some(source) => self.page.quotes.push(Quote { source, code }),
            None if PROGRAMS.contains(&language.as_str()) => self.page.loose_programs.push(code),
            None => {}
        }
    }

    /// The heading's anchor as GitHub makes it: a repeated heading gets a number.
    fn anchor(&mut self) {
        let kept = self.heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !self.page.anchors.contains(name));
        self.page.anchors.extend(free);
    }
}
