' Types texts into cells of a workbook and saves it, as a person would: one line "sheet<tab>cell<tab>text" for each.
Sub TypeInto(source As String, target As String, edits As String)
    Dim hidden(0) As New com.sun.star.beans.PropertyValue
    Dim format(0) As New com.sun.star.beans.PropertyValue
    hidden(0).Name = "Hidden"
    hidden(0).Value = True
    format(0).Name = "FilterName"
    format(0).Value = "Calc MS Excel 2007 XML"
    book = StarDesktop.loadComponentFromURL(source, "_blank", 0, hidden())
    file = createUnoService("com.sun.star.ucb.SimpleFileAccess")
    lines = createUnoService("com.sun.star.io.TextInputStream")
    lines.setInputStream(file.openFileRead(edits))
    lines.setEncoding("UTF-8")
    Do While Not lines.isEOF()
        parts = Split(lines.readLine(), Chr(9))
        If UBound(parts) = 2 Then
            cell = book.Sheets.getByName(parts(0)).getCellRangeByName(parts(1))
            ' what is typed into a cell of the format text stays a text; everywhere else a number or date is made of it
            If book.NumberFormats.getByKey(cell.NumberFormat).Type And com.sun.star.util.NumberFormat.TEXT Then
                cell.setString(parts(2))
            Else
                cell.setFormula(parts(2))
            End If
        End If
    Loop
    lines.closeInput()
    book.storeToURL(target, format())
    book.close(True)
End Sub
