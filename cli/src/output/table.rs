//! Aligned columns of plain text.

/// A table with a header line; columns are two blanks apart.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header = header.iter().map(|cell| (*cell).to_owned()).collect();
    let lines = std::iter::once(&header).chain(rows).map(|row| line(row, &widths));
    lines.collect::<Vec<_>>().join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut out = String::new();
    for (cell, width) in row.iter().zip(widths) {
        out.push_str(cell);
        out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
    }
    out.trim_end().to_owned()
}

/// `name = value` lines with aligned signs; an empty value is `<none>`.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let show = |value: &str| if value.is_empty() { "<none>".to_owned() } else { value.to_owned() };
    let lines = rows.iter().map(|(name, value)| format!("{name:width$} = {}", show(value)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned()], vec!["bbbb".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "Name"], &rows), "ID    Name\na     long cell\nbbbb");
        assert_eq!(fields(&[("ID", "x".to_owned()), ("Name", String::new())]), "ID   = x\nName = <none>");
    }
}
