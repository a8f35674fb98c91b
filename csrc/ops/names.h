// Names of activations and losses as ops and users write them, from the explicit lists.
#pragma once
#include <string>
#include <vector>

namespace steep {

int activation_index(const std::string& name);  // refuses an unknown name
bool activation_reads_input(int index);         // f' is taken from f's input, not its output
bool activation_is_relu_like(int index);        // its weights start as He says
std::vector<std::string> activation_names();

int loss_index(const std::string& name);
std::vector<std::string> loss_names();

}  // namespace steep
