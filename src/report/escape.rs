//! Foreign text made harmless for the place it goes to.

/// Characters that act on a terminal or hide what stands there: controls, line and paragraph
/// separators, bidirectional overrides, zero-width and tag characters.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// One line for a terminal: hidden characters are spelled out, line ends become ` ⏎ `.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.trim_end().lines().enumerate() {
        if n > 0 {
            out.push_str(" ⏎ ");
        }
        for c in line.chars() {
            match c {
                '\t' => out.push(' '),
                c if is_hidden(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
    }
    out
}

/// One line for a chat: as [`plain`], and nobody is called by an `@name` or a `<!channel>` in it.
pub fn chat(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in plain(text).chars() {
        match c {
            '<' => out.push('‹'),
            '>' => out.push('›'),
            '@' if !before.is_alphanumeric() => out.push_str("(at)"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// One line of Markdown that shows the text as it is, also inside a table.
pub fn markdown(text: &str) -> String {
    // Blanks in front would let a mark behind them begin something after all.
    let plain = plain(text.trim_start());
    let chars: Vec<char> = plain.chars().collect();
    let mut out = String::with_capacity(plain.len());
    // A list, a heading or a quotation begins only at the start: the words around us are our own.
    let digits = chars.iter().take_while(|c| c.is_ascii_digit()).count();
    for (n, c) in chars.iter().enumerate() {
        let word = |at: Option<usize>| {
            at.and_then(|at| chars.get(at))
                .is_some_and(|c| c.is_alphanumeric())
        };
        let blank = |at: usize| chars.get(at).is_none_or(|c| c.is_whitespace());
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // Inside a word it means nothing, and names of tables are easier to read without.
            '_' if word(n.checked_sub(1)) && word(Some(n + 1)) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '$' => out.extend(['\\', *c]),
            '#' | '-' | '+' | '=' if n == 0 => out.extend(['\\', *c]),
            '.' | ')' if n == digits && n > 0 && blank(n + 1) => out.extend(['\\', *c]),
            c => out.push(*c),
        }
    }
    out
}

/// A command in Markdown, shown as it is.
pub fn code(text: &str) -> String {
    let plain = plain(text);
    let longest = plain.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match longest {
        0 => format!("{fence}{plain}{fence}"),
        _ => format!("{fence} {plain} {fence}"),
    }
}

/// A quotation of several lines in Markdown, each shown as it is.
pub fn quotation(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() {
        return "> (no words)".into();
    }
    let lines = text.lines().map(|line| format!("> {}", markdown(line).trim()));
    // Hard line ends: what was pasted as lines stays lines.
    lines.collect::<Vec<_>>().join("  \n")
}

/// JSON text in which hidden characters stand as `\u….`: it may be shown on a terminal, and means the same.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || !is_hidden(c) {
            out.push(c);
            continue;
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_reaches_a_terminal() {
        let text = plain("a\u{1b}[31m\u{202e}b\u{200b}\u{e0041}\r\nc\td");
        assert_eq!(text, r"a\u{1b}[31m\u{202e}b\u{200b}\u{e0041} ⏎ c d");
    }

    #[test]
    fn markdown_and_html_are_shown_not_obeyed() {
        assert_eq!(
            markdown("<b>|x|</b> [a](b) `c` *d* _e_ a_b ![i](j)"),
            r"&lt;b&gt;\|x\|&lt;/b&gt; \[a\](b) \`c\` \*d\* \_e\_ a_b \!\[i\](j)"
        );
        for (given, shown) in [
            ("# h", "\\# h"),
            ("- l", "\\- l"),
            ("12. n", "12\\. n"),
            ("1.2 s", "1.2 s"),
        ] {
            assert_eq!(markdown(given), shown);
        }
        assert_eq!(code("a `b`"), "`` a `b` ``");
        assert_eq!(quotation(" \n"), "> (no words)");
        assert_eq!(quotation("a\n# b\n"), "> a  \n> \\# b");
    }

    #[test]
    fn a_chat_is_not_woken() {
        assert_eq!(
            chat("@here <!channel> ana@example.com"),
            "(at)here ‹!channel› ana@example.com"
        );
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": "x\u{9b}\u{202e}\u{e0041}\n"});
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(['\u{9b}', '\u{202e}', '\u{e0041}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
