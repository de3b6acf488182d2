#pragma once

#include <string>
#include <vector>

/** Pieces of pages that stand alone: plots are inline SVG, pictures are data
 * URIs; no scripts, no other files. Pages follow the reader's light or dark
 * setting, fit a phone and print. Each piece is "" where it would be empty;
 * titles, texts and notes are escaped here, `content` is HTML. */
namespace rsm::report {

std::string html_page(const std::string& title, const std::string& content);

std::string section(const std::string& title, const std::string& content,
                    const std::string& intro = "");
/** Shown when its title is clicked. */
std::string folded(const std::string& title, const std::string& content);
/** A plot with its caption; `note` explains it. */
std::string figure(const std::string& title, const std::string& plot,
                   const std::string& note = "");
/** Figures side by side. */
std::string plots(const std::string& figures);
std::string text_list(const std::vector<std::string>& items);

}  // namespace rsm::report
