//! Shell text to words and operators: quoting, redirections, here-documents.
//!
//! A lexer, not a shell. What only a running shell could know (a variable, a substitution, a glob)
//! makes a word *not fixed*; the text of every substitution is kept so that it can be looked at too.

/// One word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The word after quotes are removed.
    pub text: String,
    /// The text is exactly what the program will be given.
    pub fixed: bool,
    /// No part was quoted: only such a word can be a keyword.
    pub bare: bool,
    /// First character, and the one behind the last, in the text it was read from; `None` where it was made up.
    pub at: Option<(usize, usize)>,
}

impl Word {
    /// A word that no shell will touch again.
    pub fn fixed(text: &str) -> Word {
        Word {
            text: text.to_owned(),
            fixed: true,
            bare: false,
            at: None,
        }
    }

    /// A word that only the run will know, such as what `xargs` appends.
    pub fn open(text: &str) -> Word {
        Word {
            text: text.to_owned(),
            fixed: false,
            bare: false,
            at: None,
        }
    }

    /// The text, as comparisons want it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One piece of shell text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word of a command.
    Word(Word),
    /// Something that ends a command: `; & && || | |& ( )`, a newline as `\n`.
    End(&'static str),
    /// A redirection; its target is the next word.
    Redirect(&'static str),
    /// A here-document, by its number in [`Lexed::bodies`].
    Here(usize),
}

/// A here-document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// What a program is fed.
    pub text: String,
    /// Nothing in it is expanded.
    pub fixed: bool,
    /// Where it stands, as in [`Word::at`].
    pub at: (usize, usize),
}

/// What the lexer made of a text.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// Words and operators in order.
    pub pieces: Vec<Piece>,
    /// Here-document bodies.
    pub bodies: Vec<Body>,
    /// The texts inside `$(…)`, backticks and `<(…)`.
    pub inner: Vec<Word>,
    /// A quote or a bracket was left open, or a byte cannot stand in a shell text.
    pub broken: bool,
}

/// Longest first, so that `&&` is not read as two `&`.
const ENDS: [&str; 11] = [";;&", ";;", ";&", ";", "&&", "||", "|&", "|", "&", "(", ")"];
const REDIRECTS: [&str; 12] = [
    "&>>", "&>", "<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">|", ">&", ">",
];

struct Lexer {
    chars: Vec<char>,
    at: usize,
    /// Where the word or operator at hand began.
    began: usize,
    word: Option<Word>,
    out: Lexed,
    /// Here-documents whose bodies start after the next newline: number, delimiter, strip tabs.
    waiting: Vec<(usize, String, bool)>,
}

/// Splits shell text into words and operators.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        began: 0,
        word: None,
        out: Lexed::default(),
        waiting: Vec::new(),
    };
    lexer.run();
    lexer.out
}

/// The texts inside `$(…)`, `${…}` and backticks of a text that is expanded but not split.
pub(super) fn substitutions(text: &str) -> Vec<Word> {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        began: 0,
        word: None,
        out: Lexed::default(),
        waiting: Vec::new(),
    };
    while let Some(c) = lexer.peek(0) {
        match c {
            '\\' => lexer.at += 2,
            '$' => lexer.dollar(true),
            '`' => lexer.backtick(),
            _ => lexer.at += 1,
        }
    }
    lexer.out.inner
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(n, c)| self.peek(n) == Some(c))
    }

    fn word(&mut self) -> &mut Word {
        let began = self.began;
        self.word.get_or_insert_with(|| Word {
            text: String::new(),
            fixed: true,
            bare: true,
            at: Some((began, began)),
        })
    }

    fn push(&mut self, c: char) {
        self.word().text.push(c);
    }

    fn end_word(&mut self) {
        if let Some(mut word) = self.word.take() {
            word.at = word.at.map(|(began, _)| (began, self.at));
            self.out.pieces.push(Piece::Word(word));
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            self.began = self.at;
            match c {
                '\0' => {
                    self.out.broken = true;
                    self.at += 1;
                }
                '\n' => {
                    self.end_word();
                    self.at += 1;
                    self.out.pieces.push(Piece::End("\n"));
                    self.here_bodies();
                }
                ' ' | '\t' | '\r' => {
                    // A carriage return is part of a word to a shell; a file with CRLF ends runs oddly.
                    self.out.broken |= c == '\r' && self.peek(1) != Some('\n');
                    self.end_word();
                    self.at += 1;
                }
                '#' if self.word.is_none() => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\\' => self.backslash(),
                '\'' => self.single(),
                '"' => self.double(),
                '$' => self.dollar(false),
                '`' => self.backtick(),
                '<' | '>' if self.peek(1) == Some('(') => {
                    self.at += 1;
                    let from = self.at + 1;
                    let inner = self.bracketed();
                    self.substituted(&inner, from);
                }
                '<' | '>' | '&' if self.redirect() => {}
                ';' | '&' | '|' | '(' | ')' => self.end_op(),
                // `{}` is what `find` and `xargs` replace; a shell leaves it alone.
                '{' if self.peek(1) == Some('}') => {
                    self.push('{');
                    self.push('}');
                    self.at += 2;
                }
                '*' | '?' | '[' | '{' => {
                    // A lone `[` or `{` is a command; inside a word it is a pattern.
                    let alone = self.word.is_none() && self.peek(1).is_none_or(char::is_whitespace);
                    self.word().fixed &= alone && matches!(c, '[' | '{');
                    self.push(c);
                    self.at += 1;
                }
                _ => {
                    self.push(c);
                    self.at += 1;
                }
            }
        }
        self.end_word();
        // A here-document that the text never starts is one nobody saw.
        self.out.broken |= !self.waiting.is_empty();
    }

    fn end_op(&mut self) {
        self.end_word();
        if let Some(op) = ENDS.into_iter().find(|op| self.starts(op)) {
            self.at += op.len();
            self.out.pieces.push(Piece::End(op));
        }
    }

    fn redirect(&mut self) -> bool {
        let Some(op) = REDIRECTS.into_iter().find(|op| self.starts(op)) else {
            return false;
        };
        // Digits glued to the operator are a file descriptor, not a word.
        if self
            .word
            .as_ref()
            .is_some_and(|w| w.bare && w.text.chars().all(|c| c.is_ascii_digit()))
        {
            self.word = None;
        }
        self.end_word();
        self.at += op.len();
        if !matches!(op, "<<" | "<<-") {
            self.out.pieces.push(Piece::Redirect(op));
            return true;
        }
        while matches!(self.peek(0), Some(' ' | '\t')) {
            self.at += 1;
        }
        let (mut delimiter, mut quoted) = (String::new(), false);
        while let Some(c) = self
            .peek(0)
            .filter(|c| !c.is_whitespace() && !";&|<>()".contains(*c))
        {
            match c {
                '\'' | '"' | '\\' => quoted = true,
                _ => delimiter.push(c),
            }
            self.at += 1;
        }
        let number = self.out.bodies.len();
        self.out.bodies.push(Body {
            fixed: quoted,
            ..Body::default()
        });
        self.out.pieces.push(Piece::Here(number));
        self.waiting.push((number, delimiter, op == "<<-"));
        true
    }

    fn here_bodies(&mut self) {
        for (number, delimiter, strip) in std::mem::take(&mut self.waiting) {
            let mut body = String::new();
            let mut closed = false;
            let (began, mut end) = (self.at, self.at);
            while self.at < self.chars.len() {
                let rest = self.chars.get(self.at..).unwrap_or_default();
                let len = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                let line: String = rest.iter().take(len).collect();
                self.at += len + 1;
                let line = if strip {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if line == delimiter {
                    closed = true;
                    break;
                }
                body.push_str(line);
                body.push('\n');
                end = self.at;
            }
            self.at = self.at.min(self.chars.len());
            self.out.broken |= !closed;
            if let Some(slot) = self.out.bodies.get_mut(number) {
                slot.fixed |= !body.contains(['$', '`', '\\']);
                slot.text = body;
                slot.at = (began, end);
            }
        }
    }

    fn backslash(&mut self) {
        match self.peek(1) {
            Some('\n') => {}
            Some(c) => {
                self.word().bare = false;
                self.push(c);
            }
            None => self.out.broken = true,
        }
        self.at += 2;
    }

    fn single(&mut self) {
        self.word().bare = false;
        self.at += 1;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '\'' {
                return;
            }
            self.push(c);
        }
        self.out.broken = true;
    }

    fn double(&mut self) {
        self.word().bare = false;
        self.at += 1;
        while let Some(c) = self.peek(0) {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    match self.peek(1) {
                        Some('\n') => {}
                        Some(next @ ('$' | '`' | '"' | '\\')) => self.push(next),
                        Some(next) => {
                            self.push('\\');
                            self.push(next);
                        }
                        None => break,
                    }
                    self.at += 2;
                }
                '$' => self.dollar(true),
                '`' => self.backtick(),
                _ => {
                    self.push(c);
                    self.at += 1;
                }
            }
        }
        self.out.broken = true;
    }

    fn dollar(&mut self, quoted: bool) {
        match self.peek(1) {
            Some('(') => {
                self.at += 1;
                let from = self.at + 1;
                let inner = self.bracketed();
                self.substituted(&inner, from);
            }
            Some('{') => {
                self.at += 1;
                let from = self.at + 1;
                let inner = self.bracketed();
                // `${x:-$(…)}` runs something; a plain name does not.
                if inner.contains(['$', '`', '<', '>']) {
                    self.inner(&inner, from);
                }
                self.open(&format!("${{{inner}}}"));
            }
            Some('\'') if !quoted => self.ansi(),
            Some('"') if !quoted => {
                self.at += 1;
                self.double();
            }
            Some(c) if c.is_alphanumeric() || "_@*#?-$!".contains(c) => {
                let mut name = String::from("$");
                self.at += 1;
                name.push(c);
                self.at += 1;
                if c.is_alphabetic() || c == '_' {
                    while let Some(c) = self.peek(0).filter(|c| c.is_alphanumeric() || *c == '_') {
                        name.push(c);
                        self.at += 1;
                    }
                }
                self.open(&name);
            }
            _ => {
                self.push('$');
                self.at += 1;
            }
        }
    }

    /// `$'…'`: escapes are decoded, since `$'\x72m'` is `rm`.
    fn ansi(&mut self) {
        self.word().bare = false;
        self.at += 2;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '\'' => return,
                '\\' => {
                    let Some(next) = self.peek(0) else { break };
                    self.at += 1;
                    let decoded = match next {
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        'r' => Some('\r'),
                        '\\' | '\'' | '"' | '?' => Some(next),
                        'x' => self.number(16, 2),
                        'u' => self.number(16, 4),
                        'U' => self.number(16, 8),
                        '0'..='7' => {
                            self.at -= 1;
                            self.number(8, 3)
                        }
                        _ => None,
                    };
                    match decoded {
                        Some(c) => self.push(c),
                        None => self.open(&format!("\\{next}")),
                    }
                }
                _ => self.push(c),
            }
        }
        self.out.broken = true;
    }

    fn number(&mut self, radix: u32, most: usize) -> Option<char> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.peek(0).and_then(|c| c.to_digit(radix)) else {
                break;
            };
            value = Some(value.unwrap_or(0u32).wrapping_mul(radix).wrapping_add(digit));
            self.at += 1;
        }
        // A byte above 127 is a piece of UTF-8 to a shell; left open rather than guessed.
        value
            .filter(|v| (1..128).contains(v) || radix == 16 && *v > 255)
            .and_then(char::from_u32)
    }

    fn backtick(&mut self) {
        self.at += 1;
        let from = self.at;
        let mut inner = String::new();
        loop {
            match self.peek(0) {
                Some('`') => break,
                Some('\\') => {
                    inner.extend(self.peek(1));
                    self.at += 2;
                }
                Some(c) => {
                    inner.push(c);
                    self.at += 1;
                }
                None => {
                    self.out.broken = true;
                    break;
                }
            }
        }
        self.at += 1;
        self.substituted(&inner, from);
    }

    fn open(&mut self, text: &str) {
        let word = self.word();
        word.fixed = false;
        word.text.push_str(text);
    }

    fn substituted(&mut self, inner: &str, from: usize) {
        self.open(&format!("$({inner})"));
        self.inner(inner, from);
    }

    /// Keeps the text of a substitution that began there and has just ended.
    fn inner(&mut self, inner: &str, from: usize) {
        self.out.inner.push(Word {
            at: Some((from, self.at.saturating_sub(1))),
            ..Word::open(inner)
        });
    }

    /// The text inside the bracket at the cursor, quotes respected; the cursor ends behind it.
    fn bracketed(&mut self) -> String {
        let (open, close) = if self.peek(0) == Some('{') {
            ('{', '}')
        } else {
            ('(', ')')
        };
        let mut depth = 0usize;
        let mut quote = None;
        let start = self.at + 1;
        while let Some(c) = self.peek(0) {
            match (quote, c) {
                (None | Some('"'), '\\') => self.at += 1,
                (None, '\'' | '"') => quote = Some(c),
                (Some(q), _) if q == c => quote = None,
                (None, _) if c == open => depth += 1,
                (None, _) if c == close => {
                    depth -= 1;
                    if depth == 0 {
                        let inner = self
                            .chars
                            .get(start..self.at)
                            .unwrap_or_default()
                            .iter()
                            .collect();
                        self.at += 1;
                        return inner;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        self.out.broken = true;
        self.chars.get(start..).unwrap_or_default().iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let is_word = |p: Piece| {
            if let Piece::Word(w) = p {
                Some(w.text)
            } else {
                None
            }
        };
        lex(text).pieces.into_iter().filter_map(is_word).collect()
    }

    #[test]
    fn quotes_are_removed_the_way_a_shell_does() {
        assert_eq!(
            words(r#"a'b'"c"\d $'\x72m' 'it''s' "a\"b\c""#),
            ["abcd", "rm", "its", "a\"b\\c"]
        );
        assert_eq!(words("rm \\\n -rf 2>&1 # gone"), ["rm", "-rf", "1"]);
    }

    #[test]
    fn what_only_a_shell_knows_is_not_fixed() {
        for text in [
            "$X", "\"$X\"", "a${IFS}b", "`date`", "$(date)", "*.log", "{a,b}", "<(ls)",
        ] {
            let lexed = lex(text);
            assert!(
                matches!(&lexed.pieces[..], [Piece::Word(w)] if !w.fixed),
                "{text}: {lexed:?}"
            );
        }
    }

    #[test]
    fn here_documents_are_read_to_their_end() {
        let lexed = lex("psql <<'E' && ls\nDROP TABLE x;\nE\nid");
        let body = Body {
            text: "DROP TABLE x;\n".to_owned(),
            fixed: true,
            at: (17, 31),
        };
        assert_eq!(lexed.bodies, [body]);
        assert!(!lexed.broken && lex("cat <<E\nopen").broken);
    }
}
