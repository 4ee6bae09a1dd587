//! CSV as spreadsheets read and write it: RFC 4180, in UTF-8 behind a byte order mark, without which Excel takes it for another encoding.
//!
//! What begins as a formula would be run by a spreadsheet that opens the file, and a phone would be shown as a number of a thousand millions and
//! saved as one, without its plus. So each cell that begins with `=`, `+`, `-`, `@`, a tab or a line break gets an apostrophe in front, and so does
//! one that begins with an apostrophe, so that it can be taken away again: what is read back is what was written.
//! <https://owasp.org/www-community/attacks/CSV_Injection>

use crate::ports::PortError;

/// A row: what is absent is an empty cell.
pub(crate) type Cells = Vec<Option<String>>;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a cell may not begin with.
const GUARDED: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// A cell that no spreadsheet takes for a formula or a number.
fn guarded(cell: String) -> String {
    if cell.starts_with(GUARDED) { format!("'{cell}") } else { cell }
}

/// What was in a cell before it was guarded. What was typed by hand is what it is.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(inner) if inner.starts_with(GUARDED) => inner,
        _ => cell,
    }
}

/// A header row and the others.
pub(crate) fn sheet(columns: &[&str], rows: impl Iterator<Item = Cells>) -> Result<String, PortError> {
    let refused = |source: Box<dyn std::error::Error + Send + Sync>| PortError::Permanent {
        operation: "writing a spreadsheet",
        source,
    };
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns).map_err(|error| refused(error.into()))?;
    for row in rows {
        let cells = row.into_iter().map(|cell| guarded(cell.unwrap_or_default()));
        writer.write_record(cells).map_err(|error| refused(error.into()))?;
    }
    let bytes = writer.into_inner().map_err(|error| refused(error.to_string().into()))?;
    let text = String::from_utf8(bytes).map_err(|error| refused(error.into()))?;
    Ok(format!("{BYTE_ORDER_MARK}{text}"))
}

/// A row that was read.
#[derive(Debug)]
pub(crate) struct ReadRow {
    /// The line it begins on, from 1.
    pub(crate) line: u64,
    /// Its cells, without spaces around them. The row may be shorter or longer than the header.
    pub(crate) cells: Vec<String>,
}

/// Reads a header row and the others, empty lines left out. Cells are parted by commas or semicolons, whichever the header has more of: Excel
/// writes semicolons where the comma is in numbers. `None` where it is no UTF-8.
pub(crate) fn read_sheet(bytes: &[u8]) -> Option<(Vec<String>, Vec<ReadRow>)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let header = text.lines().next().unwrap_or_default();
    let delimiter = if header.matches(';').count() > header.matches(',').count() { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut rows, mut counted, mut line) = (Vec::new(), 0, 1);
    for record in reader.records() {
        // It is UTF-8, and rows of any length are taken: there is nothing else to refuse.
        let record = record.ok()?;
        // The reader takes what parts two records, and empty lines, for the beginning of the latter.
        let from = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or(0);
        let rest = text.get(from..).unwrap_or_default();
        let begins = from + rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        line += text.get(counted..begins).unwrap_or_default().matches('\n').count() as u64;
        counted = begins;
        let cells: Vec<String> =
            record.iter().map(|cell| unguarded(cell.trim_matches(' ')).trim().to_owned()).collect();
        rows.push(ReadRow { line, cells });
    }
    let mut rows = rows.into_iter();
    let header = rows.next().map(|row| row.cells).unwrap_or_default();
    Some((header, rows.filter(|row| row.cells.iter().any(|cell| !cell.is_empty())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Cells {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    #[test]
    fn what_is_written_reads_back_and_no_cell_is_a_formula() {
        let cells =
            ["=1+1", "+351912345678", "-5", "@x", "'t Hooft", "''", "a,b;c", "say \"hi\"", "two\nlines", ""];
        let text =
            sheet(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], [row(&cells)].into_iter()).unwrap();
        assert!(
            text.starts_with("\u{feff}a,b,c,d,e,f,g,h,i,j\r\n'=1+1,'+351912345678,'-5,'@x,''t Hooft,'''")
        );
        let (header, rows) = read_sheet(text.as_bytes()).unwrap();
        assert_eq!((header.len(), rows.len(), rows[0].line), (10, 1, 2));
        assert_eq!(rows[0].cells, cells);
    }

    #[test]
    fn what_excel_and_people_write_is_read() {
        let text = "Name;Phone\r\n'+ plus;+351 912\r\n\r\n 't Hooft ;x;y\n\"a;b\"";
        let (header, rows) = read_sheet(text.as_bytes()).unwrap();
        assert_eq!(header, ["Name", "Phone"]);
        let read: Vec<_> = rows.iter().map(|row| (row.line, row.cells.join("|"))).collect();
        let expected = [(2, "+ plus|+351 912"), (4, "'t Hooft|x|y"), (5, "a;b")];
        assert_eq!(read, expected.map(|(line, cells)| (line, cells.to_owned())));
        assert!(read_sheet(b"name\n\xff").is_none());
        assert!(read_sheet(b"").unwrap().0.is_empty());
    }
}
