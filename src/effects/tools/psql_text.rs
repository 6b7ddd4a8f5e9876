//! A psql script to SQL, backslash commands and variables, quotes and comments respected.

/// What a psql text consists of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// The SQL; a command that sends a statement has become `;`. Every byte stands where it stood in the text.
    pub sql: String,
    /// The backslash commands, without the backslash.
    pub commands: Vec<String>,
    /// `:name` stands somewhere outside quotes.
    pub variable: bool,
    /// A quote or a comment was left open.
    pub broken: bool,
}

/// Takes a text apart.
pub(super) fn split(script: &str) -> Parts {
    let mut parts = Parts::default();
    let mut rest = script;
    let (mut before, mut earlier) = (' ', ' ');
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\'' => {
                // `date'…'` ends in an `e` as well, and is no escape string.
                let escapes = matches!(before, 'e' | 'E') && !earlier.is_alphanumeric() && earlier != '_';
                closed(rest, |text| quote_end(text, '\'', escapes), &mut parts.broken)
            }
            '"' => closed(rest, |text| quote_end(text, '"', false), &mut parts.broken),
            '-' if rest.starts_with("--") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => closed(rest, comment_end, &mut parts.broken),
            '$' if !before.is_alphanumeric() && before != '_' => match dollar_tag(rest) {
                Some(tag) => {
                    let end = rest
                        .get(tag.len()..)
                        .and_then(|body| body.find(tag))
                        .map(|at| at + 2 * tag.len());
                    closed(rest, |_| end, &mut parts.broken)
                }
                None => 1,
            },
            '\\' if rest.starts_with("\\;") => {
                parts.sql.push_str(" ;");
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            '\\' => {
                let end = rest.find('\n').unwrap_or(rest.len());
                let command = rest.get(1..end).unwrap_or_default().trim();
                // `\\` ends a command's arguments: what follows is looked at as text of its own.
                let (command, end) = match command.find("\\\\") {
                    Some(at) => (command.get(..at).unwrap_or_default().trim(), 1 + at + 2),
                    None => (command, end),
                };
                parts.commands.push(command.to_owned());
                let mark = if command.starts_with(['g', 'w', 'c']) {
                    ";\n"
                } else {
                    "\n"
                };
                parts.sql.push_str(mark);
                let blanks = end.saturating_sub(mark.len());
                parts.sql.extend(std::iter::repeat_n(' ', blanks));
                rest = rest.get(end..).unwrap_or_default();
                before = ' ';
                continue;
            }
            ':' if rest.starts_with("::") => 2,
            ':' => {
                let next = rest.chars().nth(1).unwrap_or(' ');
                parts.variable |= next.is_alphanumeric() && !next.is_ascii_digit()
                    || matches!(next, '_' | '\'' | '"' | '{');
                1
            }
            _ => c.len_utf8(),
        };
        let text = rest.get(..taken).unwrap_or(rest);
        parts.sql.push_str(text);
        earlier = before;
        before = text.chars().next_back().unwrap_or(' ');
        rest = rest.get(taken..).unwrap_or_default();
    }
    parts
}

fn closed(text: &str, end: impl Fn(&str) -> Option<usize>, broken: &mut bool) -> usize {
    end(text).unwrap_or_else(|| {
        *broken = true;
        text.len()
    })
}

fn quote_end(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

fn comment_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while at + 1 < bytes.len() {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// `$$` or `$tag$` at the start of a text.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.get(1..)?.find('$')? + 2;
    let tag = text.get(..end)?;
    let inner = tag.trim_matches('$');
    let named = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    named.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_inside_a_quote_is_text() {
        let parts = split("select '\n\\q'; drop table t;\n\\d x\nselect $a$\n\\!$a$, a::int");
        assert_eq!(parts.commands, ["d x"]);
        assert!(parts.sql.contains("drop table t") && !parts.variable && !parts.broken);
        assert!(split("select :x").variable && split("select 'open").broken);
    }
}
