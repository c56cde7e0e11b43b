"""Search: from parameters to pages of resources (http://hl7.org/fhir/R4/search.html).

parsing · asking · controls · query     what is asked, checked and kept by name
criteria · compiling · values · ...     from what is asked to conditions on index rows
planner · walks · drivers · candidates  one condition drives, the others are checked, bodies come last
ordering · paging · including           order, pages, what comes along
"""
