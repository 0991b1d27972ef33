/* page_text.h - the page's style sheet and prose: the files of the same names beside this one, embedded when kith is
 * built, without the end of the last line. */
#ifndef KITH_PAGE_TEXT_H
#define KITH_PAGE_TEXT_H

extern const char kith_report_css[];
extern const char kith_definitions_html[];
extern const char kith_dynamics_html[];                                     /* what layer dynamics are */
extern const char kith_nnts_html[], kith_flow_html[], kith_survival_html[]; /* captions of figures */
extern const char kith_provenance_html[];                                   /* up to the first row of its table */

#endif
