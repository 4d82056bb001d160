"""openpyxl and xlwt as peers: make spreadsheets as people have them, and read those that the service writes.

Reads one JSON object from standard input, writes one to standard output. What stands in the files is the libraries' own doing.
"""

import datetime
import json
import sys

import openpyxl
import xlwt


def value(cell):
    """A cell of the request: a plain value, or {"date": "2026-11-30"}, {"format": ..., "value": ...}, {"formula": ...}."""
    if not isinstance(cell, dict):
        return cell, None
    if "date" in cell:
        day = datetime.datetime.fromisoformat(cell["date"])
        return day, cell.get("format", "yyyy/m/d")
    if "formula" in cell:
        return cell["formula"], None
    return cell["value"], cell["format"]


def make_xlsx(ask):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = ask.get("sheet", "Sheet1")
    for number, row in enumerate(ask["rows"], 1):
        for column, cell in enumerate(row, 1):
            found, shown = value(cell)
            if found is None:
                continue
            placed = sheet.cell(row=number, column=column, value=found)
            if shown:
                placed.number_format = shown
    for area in ask.get("merges", []):
        sheet.merge_cells(area)
    for number in ask.get("hidden", []):
        sheet.row_dimensions[number].hidden = True
    for name in ask.get("more_sheets", []):
        book.create_sheet(name)
    book.save(ask["path"])


def make_xls(ask):
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet(ask.get("sheet", "Sheet1"))
    for number, row in enumerate(ask["rows"]):
        for column, cell in enumerate(row):
            found, shown = value(cell)
            if found is None:
                continue
            style = xlwt.easyxf(num_format_str=shown) if shown else xlwt.Style.default_style
            sheet.write(number, column, found, style)
    book.save(ask["path"])


def read(ask):
    book = openpyxl.load_workbook(ask["path"])
    sheet = book.active
    return {
        "name": sheet.title,
        "rows": [["" if cell.value is None else cell.value for cell in row] for row in sheet.iter_rows()],
        "texts": all(cell.value is None or isinstance(cell.value, str) for row in sheet.iter_rows() for cell in row),
        "formats": sorted({cell.number_format for row in sheet.iter_rows() for cell in row if cell.value is not None}),
    }


def main():
    ask = json.load(sys.stdin)
    said = {"xlsx": make_xlsx, "xls": make_xls, "read": read}[sys.argv[1]](ask)
    json.dump(said or {}, sys.stdout)


main()
