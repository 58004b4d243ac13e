//! Merged cells of a sheet. A merged range has its value in its upper left cell only; whoever looks at the sheet sees it
//! all over the range. So the rows of a range get its value in its first column, and one name over several columns is
//! the name of all of them. What a merged cell hides and is not what it shows refuses its row: nobody saw it.

use std::ops::RangeInclusive;

use calamine::Dimensions;

use super::Error;
use super::values::Cell;
use super::xlsx::COLUMNS_MAX;

/// The merged ranges of a sheet, as its rows are read from the top.
pub struct Merged {
    /// By their first row.
    ranges: Vec<Dimensions>,
    /// The first one that no row has come to.
    next: usize,
    /// Those of the last row, with what they show.
    open: Vec<(Dimensions, Cell)>,
}

impl Merged {
    /// Ranges in any order.
    pub fn new(mut ranges: Vec<Dimensions>) -> Self {
        ranges.retain(|range| range.start.0 <= range.end.0 && range.start.1 <= range.end.1);
        ranges.sort_by_key(|range| range.start);
        Self {
            ranges,
            next: 0,
            open: Vec::new(),
        }
    }

    /// The first rows as they look, to find the names of the columns in: in a range over several rows every row shows
    /// its value.
    pub fn shown(&self, rows: &[(u32, Vec<Cell>)]) -> Result<Vec<Vec<Cell>>, Error> {
        let mut shown: Vec<Vec<Cell>> = rows.iter().map(|(_, cells)| cells.clone()).collect();
        let last = rows.last().map_or(0, |(row, _)| *row);
        let from_above = self.ranges.iter().take_while(|range| range.start.0 < last);
        for range in from_above.filter(|range| range.start.0 < range.end.0) {
            let of_row = |wanted: u32| rows.iter().find(|(row, _)| *row == wanted);
            let Some((_, first)) = of_row(range.start.0) else {
                continue;
            };
            let value = cell(first, range.start.1).clone();
            for ((row, _), cells) in rows.iter().zip(&mut shown) {
                if (range.start.0 + 1..=range.end.0).contains(row)
                    && cell(cells, range.start.1).is_empty()
                {
                    put(cells, range.start.1, value.clone())?;
                }
            }
        }
        Ok(shown)
    }

    /// The ranges below the row that names the columns: a name does not go on into the data.
    pub fn below(&self, header: u32) -> Self {
        let below = |range: &&Dimensions| range.start.0 > header;
        Self::new(self.ranges.iter().filter(below).copied().collect())
    }

    /// Columns that have one name in common, in the row that names them.
    pub fn wide(&self, header: u32) -> Vec<RangeInclusive<usize>> {
        self.ranges
            .iter()
            .filter(|range| (range.start.0..=range.end.0).contains(&header))
            .filter(|range| range.start.1 < range.end.1)
            .map(|range| range.start.1 as usize..=range.end.1 as usize)
            .collect()
    }

    /// Gives a row what it shows of ranges that begin above it; rows come from the top. A row that has nothing of its
    /// own stays empty: it is only the rest of the one above.
    ///
    /// # Errors
    /// When ranges overlap: no row has so many columns.
    pub fn spread(&mut self, row: u32, cells: &mut Vec<Cell>) -> Result<(), Error> {
        self.open.retain(|(range, _)| range.end.0 >= row);
        while let Some(range) = self
            .ranges
            .get(self.next)
            .filter(|range| range.start.0 <= row)
        {
            self.next += 1;
            if range.end.0 < row {
                continue;
            }
            // The first row of a range may have no cell at all, and is not read then.
            let value = match range.start.0 == row {
                true => cell(cells, range.start.1).clone(),
                false => Cell::Empty,
            };
            self.open.push((*range, value));
        }
        if self.open.is_empty() {
            return Ok(());
        }
        let width = |range: &Dimensions| (range.end.1 - range.start.1) as usize + 1;
        if self
            .open
            .iter()
            .map(|(range, _)| width(range))
            .sum::<usize>()
            > COLUMNS_MAX
        {
            return Err(Error::Damaged("merged cells that overlap".into()));
        }
        for (range, value) in &self.open {
            let covered = cells
                .iter_mut()
                .enumerate()
                .take(range.end.1 as usize + 1)
                .skip(range.start.1 as usize)
                .filter(|(column, _)| (row, *column) != (range.start.0, range.start.1 as usize));
            for (_, cell) in covered {
                *cell = match cell.is_empty() || *cell == *value {
                    true => Cell::Empty,
                    false => Cell::Bad(
                        "a merged cell hides another value here than it shows; undo the merging and see which is right",
                    ),
                };
            }
        }
        if cells.iter().all(Cell::is_empty) {
            return Ok(());
        }
        for (range, value) in &self.open {
            if range.start.0 < row && !value.is_empty() && cell(cells, range.start.1).is_empty() {
                put(cells, range.start.1, value.clone())?;
            }
        }
        Ok(())
    }
}

/// Moves what stands under one name of several columns into the first of them.
pub fn gather(wide: &[RangeInclusive<usize>], cells: &mut [Cell]) {
    for columns in wide {
        let end = cells.len().min(columns.end() + 1);
        let Some(under) = cells.get_mut(*columns.start()..end) else {
            continue;
        };
        let Some((first, rest)) = under.split_first_mut() else {
            continue;
        };
        for cell in rest.iter_mut().filter(|cell| !cell.is_empty()) {
            let cell = std::mem::replace(cell, Cell::Empty);
            if first.is_empty() {
                *first = cell;
            } else if *first != cell {
                *first = Cell::Bad(
                    "several columns have this one name, and more than one of them is filled in; name each",
                );
            }
        }
    }
}

fn cell(cells: &[Cell], column: u32) -> &Cell {
    cells.get(column as usize).unwrap_or(&Cell::Empty)
}

/// Puts a cell into its column of a row.
pub fn put(cells: &mut Vec<Cell>, column: u32, cell: Cell) -> Result<(), Error> {
    let column = column as usize;
    if column >= COLUMNS_MAX {
        return Err(Error::Damaged("a cell beyond the last column".into()));
    }
    if matches!(cell, Cell::Empty) {
        return Ok(());
    }
    if cells.len() <= column {
        cells.resize(column + 1, Cell::Empty);
    }
    if let Some(place) = cells.get_mut(column) {
        *place = cell;
    }
    Ok(())
}
