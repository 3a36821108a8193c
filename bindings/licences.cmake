# This puts the licence texts of what is compiled into the extension beside the wheel's own licence.
# They are read from the packages that the build uses, so a newer package brings its newer text.

# Copies the licence of the Python package NAME, one of whose folders is PATH, to NAME.txt.
function(cllm_package_licence name path text)
  while(path AND NOT path MATCHES "/site-packages$" AND NOT path STREQUAL "/")
    get_filename_component(path "${path}" DIRECTORY)
  endwhile()
  file(GLOB found ${path}/${name}-*.dist-info/licenses/LICENSE ${path}/${name}-*.dist-info/LICENSE)
  if(NOT found)
    message(WARNING "The licence of ${name} was not found: this wheel must not be given to others")
    return()
  endif()
  list(GET found 0 found)
  file(READ "${found}" content)
  set(${text} "${content}" PARENT_SCOPE)
endfunction()

cllm_package_licence(pybind11 "${pybind11_DIR}" pybind11_text)
cllm_package_licence(nlohmann_json "${CLLM_JSON_INCLUDE}" json_text)

# The package of nlohmann-json names those who packed it; the authors stand in the headers.
if(json_text)
  file(GLOB_RECURSE headers ${CLLM_JSON_INCLUDE}/nlohmann/*.hpp)
  set(authors "")
  foreach(header IN LISTS headers)
    file(STRINGS "${header}" lines REGEX "SPDX-FileCopyrightText:")
    list(APPEND authors ${lines})
  endforeach()
  list(TRANSFORM authors REPLACE ".*SPDX-FileCopyrightText: *" "Copyright (c) ")
  list(REMOVE_DUPLICATES authors)
  list(SORT authors)
  list(JOIN authors "\n" authors)
  string(REGEX REPLACE "Copyright \\(c\\)[^\n]*" "${authors}" json_text "${json_text}")
endif()

set(folder ${CMAKE_CURRENT_BINARY_DIR}/licences)
foreach(name pybind11 json)
  if(${name}_text)
    file(WRITE ${folder}/${name}.txt "${${name}_text}")
    install(FILES ${folder}/${name}.txt DESTINATION ${SKBUILD_METADATA_DIR}/licenses/third_party)
  endif()
endforeach()
